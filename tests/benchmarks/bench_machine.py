"""What the machine can do, and how long and how much something takes on it."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one call took: seconds, and the peak of memory in MiB (of the process, or of the CUDA device)."""

    seconds: float
    memory: float


def measure(work: Callable[[], object], device: torch.device) -> Cost:
    """Time one call, on CUDA by its events, and watch memory."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begun.record()
        work()
        ended.record()
        torch.cuda.synchronize(device)
        return Cost(seconds=begun.elapsed_time(ended) / 1000, memory=torch.cuda.max_memory_allocated(device) / 2**20)
    _forget_peak()
    start = time.perf_counter()
    work()
    return Cost(seconds=time.perf_counter() - start, memory=_peak())


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak() -> float:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def convolution_peak(device: torch.device, precision: str, images: int) -> float:
    """Return the most multiply-adds, counted as two, per second of the 7 x 7 dilated convolution of architecture C.

    Args:
        device: Where.
        precision: Number format.
        images: Batch size.
    """
    layer = nn.Conv2d(32, 32, 7, dilation=2, padding=6).to(device, FORMATS[precision]).requires_grad_(False)
    layer = layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = torch.randn(images, 32, 28, 28, device=device).to(FORMATS[precision])
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    work = 2 * images * 28 * 28 * 32 * 32 * 49
    with torch.inference_mode():
        for _ in range(3):
            layer(inputs)
        return max(work / measure(lambda: layer(inputs), device).seconds for _ in range(10))


def describe(device: torch.device) -> str:
    """Name the hardware."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {torch.get_num_threads()} threads"
