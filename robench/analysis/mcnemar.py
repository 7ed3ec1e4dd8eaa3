"""McNemar's exact test: do two results on the same images differ by more than luck?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Discordance:
    """The images on which two results differ. The others say nothing about which is better.

    Attributes:
        only_first: Images where only the first holds (b).
        only_second: Images where only the second holds (c).
        n: All images.
    """

    only_first: int
    only_second: int
    n: int

    @classmethod
    def between(cls, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Discordance:
        """Count where two results on the same images differ.

        Args:
            first: Shape (n,), bool, image by image.
            second: Likewise.
        """
        return cls(only_first=int((first & ~second).sum()), only_second=int((second & ~first).sum()), n=len(first))

    @property
    def difference(self) -> float:
        """Share of the second minus share of the first, in [-1, 1]."""
        return (self.only_second - self.only_first) / self.n

    @property
    def p(self) -> float:
        """Two-sided p: the chance of so uneven a split, were either side equally likely; 1 if nothing differs.

        Source:
            McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12
            (1947), with the binomial distribution itself instead of its normal approximation.
        """
        return min(1.0, 2 * _tail(min(self.only_first, self.only_second), self.only_first + self.only_second))

    @property
    def p_second_greater(self) -> float:
        """One-sided p: the chance of so many for the second or more, were either side equally likely."""
        return _tail(self.only_first, self.only_first + self.only_second)


def _tail(heads: int, tosses: int) -> float:
    """Return the probability of at most so many heads of a fair coin."""
    from scipy.special import bdtr

    return float(bdtr(heads, tosses, 0.5))
