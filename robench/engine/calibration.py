"""Rejection thresholds from clean validation scores, fixed before any attack."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from robench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

_PAPER_GRID = tuple(round(0.05 + 0.01 * step, 2) for step in range(21))


class Calibrated(NamedTuple):
    """What validation images say of a threshold.

    Attributes:
        threshold: Scores above it are rejected.
        rate: Share of the images whose scores are.
        images: Their number.
    """

    threshold: float
    rate: float
    images: int

    @classmethod
    def read(cls, value: object) -> Calibrated | None:
        """Return what was written as JSON, unless it is something else."""
        if not isinstance(value, list) or [type(item) for item in value] != [float, float, int]:
            return None
        found = cls(*value)
        return found if math.isfinite(found.threshold) and 0 <= found.rate <= 1 and found.images > 0 else None


def rank_threshold(scores: Tensor, rate: float) -> float:
    """Return the threshold that a fresh clean score exceeds with probability at most ``rate``.

    With n exchangeable scores sorted ascending, s_(n-k) for k = floor(rate (n + 1)) - 1 is exceeded by a new one with
    probability (k + 1) / (n + 1); at most k of the n scores lie above it.

    Args:
        scores: Shape (n,), of clean images that trained nothing.
        rate: False-positive rate, in (0, 1).

    Raises:
        UsageError: If n scores cannot certify so small a rate.

    Source: split conformal prediction, Vovk et al. (2005), section 2.2; Lei et al. (2018), section 2.2.
    """
    above = _allowed_above(rate, len(scores))
    return float(scores.sort().values[len(scores) - 1 - above])


def _allowed_above(rate: float, count: int) -> int:
    # The small term undoes rounding, as in 0.001 * 6,000 = 5.999...
    above = math.floor(rate * (count + 1) + 1e-9) - 1
    if above < 0:
        needed = math.ceil(1 / rate) - 1
        message = f"a false-positive rate of {rate:g} cannot be certified with {count:,} validation images"
        raise UsageError(message, f"it takes at least {needed:,}: raise the rate or use more images")
    return above


def grid_threshold(scores: Tensor, rate: float) -> float:
    """Return the first of 0.05, 0.06, ..., 0.25 that at most ``rate`` of the scores exceed.

    Args:
        scores: Shape (n,), reconstruction errors of clean validation images.
        rate: False-positive rate, in (0, 1).

    Raises:
        UsageError: If all of the grid is exceeded too often.

    Source: Wester & Thisted (2020), section 5.1, and the authors' notebook.
    """
    for threshold in _PAPER_GRID:
        if int((scores > threshold).sum()) <= rate * len(scores) + 1e-9:
            return threshold
    message = f"no threshold of the paper's grid 0.05 to 0.25 has a false-positive rate of {rate:g} or less"
    raise UsageError(message, "use calibration finite-sample, or train a better defense")


RULES = {"finite-sample": rank_threshold, "paper-grid": grid_threshold}


def check_rate(rule: str, rate: float, count: int) -> None:
    """Refuse a rate that the rule cannot reach with so many validation images, before anything is trained.

    Raises:
        UsageError: If so.
    """
    if RULES[rule] is rank_threshold:
        _allowed_above(rate, count)


def exceedance(scores: Tensor, threshold: float) -> float:
    """Return the share of scores above the threshold."""
    return float((scores > threshold).to(torch.float64).mean())
