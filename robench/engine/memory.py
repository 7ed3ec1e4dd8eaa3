"""How the C library hands out memory while tensors come and go, and what is done where it does not suffice."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_LARGEST = 2**31 - 1

_COMPLAINTS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "could not create a memory object",
    "ALLOC_FAILED",
)
"""What torch's CPU allocator, the C++ library, oneDNN, cuBLAS and cuDNN say; only CUDA's allocator has its own type."""


def keep_freed_memory() -> bool:
    """Ask glibc to reuse freed memory rather than return it to the system. Say whether it listened.

    By default a large tensor is mapped anew each time, and the kernel zeroes it page by page at first touch.
    Training the compact PuVAE on two cores spends a quarter of its time on that.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False  # another C library: slower, and correct
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST))


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether less work at once might succeed."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(complaint in str(error) for complaint in _COMPLAINTS)


def halving(work: Callable[[int], T], rows: int, device: torch.device) -> T:
    """Do work with so many rows at once, and from its beginning with half as many where memory does not suffice.

    Args:
        work: Is told how many rows may be used at once, at least one.
        rows: The most.
        device: Whose memory it is.

    Raises:
        RuntimeError, MemoryError: Not even one row fits.
    """
    while True:
        try:
            return work(rows)
        except (RuntimeError, MemoryError) as error:
            if rows == 1 or not is_out_of_memory(error):
                raise
        _release(device)  # outside the handler: the exception's traceback would keep the tensors alive
        rows //= 2


def in_portions(work: Callable[[slice, int], T], count: int, rows: int, device: torch.device) -> list[T]:
    """Do work on some items together, and on half of them at a time where memory does not suffice.

    Args:
        work: Is told which items, and how many rows may be used at once.
        count: Number of items.
        rows: The most rows.
        device: Whose memory it is.

    Returns:
        What came of each portion, in the order of the items.

    Raises:
        RuntimeError, MemoryError: Not even one item in one row fits.
    """
    return _portion(work, slice(0, count), rows, device)


def _portion(work: Callable[[slice, int], T], part: slice, rows: int, device: torch.device) -> list[T]:
    count = part.stop - part.start
    try:
        return [work(part, rows)]
    except (RuntimeError, MemoryError) as error:
        if (count <= 1 and rows == 1) or not is_out_of_memory(error):
            raise
    _release(device)
    middle = part.start + (count + 1) // 2
    fewer = max(1, min(rows // 2, middle - part.start))
    halves = [half for half in (slice(part.start, middle), slice(middle, part.stop)) if half.start < half.stop]
    return [found for half in halves for found in _portion(work, half, fewer, device)]


def _release(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
