"""How the C library hands out memory while tensors come and go."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_LARGEST = 2**31 - 1


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
