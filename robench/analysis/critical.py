"""Critical epsilons: the smallest epsilon of each image at which some attack won.

An array of them has shape (n,), float64, in pixel values: 0 where the clean image is wrong already, infinity where
nothing won at any epsilon that was tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from robench.analysis.estimate import TAIL, Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def survival(critical: NDArray[np.float64], epsilons: Sequence[float]) -> tuple[Estimate, ...]:
    """Estimate the share of images that withstand every attack within each epsilon.

    Unlike robust accuracy epsilon by epsilon, this curve never rises: what won in a small ball wins in a larger one.

    Args:
        critical: Critical epsilons.
        epsilons: In pixel values, among those that were tried: between two of them nobody looked.

    Raises:
        ValueError: There are no critical epsilons, or some are negative or NaN.
    """
    _check(critical)
    return tuple(Estimate.mean(critical > epsilon) for epsilon in epsilons)


def median_critical(critical: NDArray[np.float64]) -> Estimate:
    """Estimate the median critical epsilon: the smallest one that fools at least half of the images.

    Its 95 % interval holds for any distribution, ties included. The chance that fewer than l of n images lie at or
    below the true median is that of fewer than l heads in n tosses, or less. So the interval runs from the l-th
    smallest to the l-th largest value, with the largest l that keeps this chance at 2.5 %. Five images or fewer bound
    nothing.

    Args:
        critical: Critical epsilons.

    Returns:
        The estimate; infinity, as a value or bound, means more than the largest epsilon that was tried.

    Raises:
        ValueError: There are no critical epsilons, or some are negative or NaN.

    Source:
        Thompson, "On confidence ranges for the median", Annals of Mathematical Statistics 7 (1936).
    """
    _check(critical)
    from scipy.special import bdtr

    ordered, n = np.sort(critical), len(critical)
    rank = int((bdtr(np.arange(n), n, 0.5) <= TAIL).sum())
    return Estimate(
        value=float(ordered[(n - 1) // 2]),
        low=float(ordered[rank - 1]) if rank else 0.0,
        high=float(ordered[n - rank]) if rank else np.inf,
        n=n,
    )


def _check(critical: NDArray[np.float64]) -> None:
    if not len(critical) or not bool((critical >= 0).all()):
        message = "critical epsilons must be one or more numbers, none of them negative"
        raise ValueError(message)
