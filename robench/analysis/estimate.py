"""A value with its 95 % interval and the number of images behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.analysis.intervals import wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


TAIL = 0.025
"""Probability that a 95 % interval leaves out on either side."""

_DIGITS = 9
"""Of sums of shares; a share of draws needs fewer, and the last of a float's 16 depend on the order of summing."""


def rounded_sum(total: float) -> float:
    """Return a sum of shares as every report shall show it, or 29.45 % would be 29.4 % in one and 29.5 % in another."""
    return round(total, _DIGITS)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with its 95 % interval: Wilson's, where the function that returns it names no other.

    Attributes:
        value: The estimate.
        low, high: Bounds of the interval; they hold the value.
        n: Number of images it rests on.
    """

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def mean(cls, values: NDArray[np.bool_] | NDArray[np.float64]) -> Estimate:
        """Estimate a share, or the mean of shares.

        Args:
            values: Shape (n,), one for each image, bool or in [0, 1].

        Raises:
            ValueError: There are no values, or they are outside [0, 1] on the whole.
        """
        n, total = len(values), rounded_sum(float(values.sum()))
        low, high = wilson(total, n)
        return cls(value=total / n, low=low, high=high, n=n)
