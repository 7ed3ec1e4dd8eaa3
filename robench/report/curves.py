"""Curves that fit into a line of text."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVELS = "▁▂▃▄▅▆▇█"
"""From the lowest eighth of the scale to the highest."""

_GAP = "·"


def draw_line(shares: Sequence[float | None], width: int) -> str:
    """Draw shares as blocks, the scale always from 0 to 1, so that curves compare by eye.

    Args:
        shares: At least one, in [0, 1]; None where nothing is known.
        width: Characters that there is room for, at least 1. Where there are more shares, a character stands for the
            least of several neighbours: what a curve must not hide is a dip.

    Returns:
        At most ``width`` characters.
    """
    count = min(width, len(shares))
    bounds = [len(shares) * place // count for place in range(count + 1)]
    parts = (shares[first:last] for first, last in pairwise(bounds))
    return "".join(_block([share for share in part if share is not None]) for part in parts)


def _block(shares: Sequence[float]) -> str:
    return LEVELS[min(int(min(shares) * len(LEVELS)), len(LEVELS) - 1)] if shares else _GAP
