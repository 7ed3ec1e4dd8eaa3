"""Where memory does not suffice, less is done at once, and the same comes of it."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch

from robench.engine.memory import halving, in_portions, is_out_of_memory
from robench.engine.progress import Silent
from robench.engine.training import train
from tests.engine.test_weights import data, network

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("error", "exhausted"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_want_of_memory_is_told_from_other_faults(error: Exception, exhausted: bool) -> None:
    assert is_out_of_memory(error) is exhausted


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_portions_come_in_order_whatever_fits(limit: int) -> None:
    def work(part: slice, rows: int) -> list[int]:
        if rows > limit:
            raise MemoryError
        return list(range(13))[part]

    assert [item for found in in_portions(work, 13, 13, CPU) for item in found] == list(range(13))


def test_work_that_is_done_anew_is_halved_to_one_and_no_further() -> None:
    tried = []

    def work(rows: int) -> None:
        tried.append(rows)
        raise MemoryError

    with pytest.raises(MemoryError):
        halving(work, 9, CPU)
    assert tried == [9, 4, 2, 1]


def test_a_limited_process_really_halves() -> None:
    script = """
import resource, torch
from robench.engine.memory import in_portions
images = torch.zeros(64, 1000)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 120_000_000, resource.RLIM_INFINITY))
def work(part, rows):
    return (images[part].repeat(1, 2000) + 1).sum().item()  # 8 MB an image, twice
parts = in_portions(work, 64, 64, torch.device("cpu"))
print(len(parts), sum(parts))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    parts, total = result.stdout.split()
    assert int(parts) > 8
    assert float(total) == 64 * 2_000_000
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


def trained(path: Path, limit: int, **changes: Any) -> nn.Module:
    def loss(module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        if len(images) > limit:
            message = "DefaultCPUAllocator: can't allocate memory"
            raise RuntimeError(message)
        return {"loss": torch.nn.functional.cross_entropy(module(images).float(), labels)}

    path.mkdir()
    plain = network(build=lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2)), loss=loss)
    module, _ = train(plain, data(), data(), seed=0, device=CPU, checkpoint=path / "checkpoint", progress=Silent())
    return module


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_a_training_batch_that_does_not_fit_is_differentiated_in_parts(tmp_path: Path, limit: int) -> None:
    whole, parts = trained(tmp_path / "whole", 10**6), trained(tmp_path / "parts", limit)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_not_even_one_image_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        trained(tmp_path / "none", 0)
