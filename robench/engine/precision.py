"""Devices and number formats. Training and search may run in bfloat16 or TF32; judgement runs in float32."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING

import torch

from robench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

_BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")


def resolve_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:i`` into a device that exists.

    Raises:
        UsageError: If CUDA is asked for and there is none, or no device of that index.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            message = f"--device {name}: torch {torch.__version__} sees no CUDA device"
            raise UsageError(message, "use --device cpu, or install a CUDA build of torch")
        index = -1 if ":" not in name else device.index
        if index >= torch.cuda.device_count():
            message = f"--device {name}: there are only {torch.cuda.device_count()} CUDA devices, counted from 0"
            raise UsageError(message, f"use --device cuda:{torch.cuda.device_count() - 1}")
    return device


@cache
def has_fast_bfloat16(device: torch.device) -> bool:
    """Say whether bfloat16 is computed natively; emulation is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 (a kernel file without a size)
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return False
    return any(name in flags for name in _BFLOAT16_INSTRUCTIONS)


def training_format(device: torch.device) -> str:
    """Name the number format in which networks are trained on this device."""
    return "bfloat16" if has_fast_bfloat16(device) else "float32"


@contextmanager
def training_precision(device: torch.device) -> Iterator[None]:
    """Compute in bfloat16 where the hardware does it natively, and let float32 products use TF32 on CUDA."""
    with ExitStack() as stack:
        if device.type == "cuda":
            stack.enter_context(_cuda_float32("tf32", deterministic=False))
        if has_fast_bfloat16(device):
            stack.enter_context(torch.autocast(device.type, dtype=torch.bfloat16))
        yield


def resolve_precision(name: str, device: torch.device) -> str:
    """Turn ``auto``, ``float32``, ``tf32`` or ``bfloat16`` into the number format of a search on this device.

    Raises:
        UsageError: If the device has no such format.
    """
    if name == "auto":
        if has_fast_bfloat16(device):
            return "bfloat16"
        return "tf32" if device.type == "cuda" else "float32"
    if name == "tf32" and device.type != "cuda":
        message = f"--search-precision tf32: there is no such format on {device.type}"
        raise UsageError(message, "use float32 or bfloat16")
    return name


@contextmanager
def searching_precision(device: torch.device, precision: str) -> Iterator[None]:
    """Prepare a device for a search in a number format; what computes in it says so itself, with ``computing``."""
    with ExitStack() as stack:
        if device.type == "cuda":
            exact = precision == "float32"
            stack.enter_context(_cuda_float32("ieee" if exact else "tf32", deterministic=exact))
        stack.enter_context(torch.autocast(device.type, enabled=False))
        yield


def computing(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Let products and convolutions compute in bfloat16 if that is the format, everything else in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bfloat16" else nullcontext()


@contextmanager
def judging_precision(device: torch.device) -> Iterator[None]:
    """Compute in true float32, deterministically: cuDNN's convolutions would use TF32 by default."""
    with ExitStack() as stack:
        if device.type == "cuda":
            stack.enter_context(_cuda_float32("ieee", deterministic=True))
        stack.enter_context(torch.autocast(device.type, enabled=False))
        yield


@contextmanager
def _cuda_float32(precision: str, *, deterministic: bool) -> Iterator[None]:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    conv = cudnn.conv  # type: ignore[attr-defined]  # there since torch 2.9, but not in its annotations
    before = (matmul.fp32_precision, conv.fp32_precision, cudnn.deterministic, cudnn.benchmark)
    matmul.fp32_precision = conv.fp32_precision = precision
    cudnn.deterministic, cudnn.benchmark = deterministic, not deterministic
    try:
        yield
    finally:
        matmul.fp32_precision, conv.fp32_precision, cudnn.deterministic, cudnn.benchmark = before
