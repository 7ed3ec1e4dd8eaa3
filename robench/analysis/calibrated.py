"""How often a threshold rejects clean images: what its calibration certifies, and what test images show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.analysis.estimate import TAIL, Estimate
from robench.analysis.intervals import clopper_pearson

if TYPE_CHECKING:
    from robench.analysis.judged import Judged


def certified_rate(n: int, above: int) -> Estimate:
    """Estimate the false-positive rate of a threshold that is an order statistic of clean validation scores.

    Let t be the (n - k)-th smallest of n independent scores with distribution function F, so that k lie above it. If F
    is continuous, F maps the scores to n uniform numbers, and the j-th smallest of those has distribution
    Beta(j, n + 1 - j). A fresh clean score exceeds t with chance 1 - F(t); with j = n - k, this has Beta(k + 1, n - k).
    Its mean (k + 1) / (n + 1) is what calibration promises on average over validation sets, its quantiles bound what
    the one at hand may have led to.

    If scores tie, the rate can only be smaller, so the upper bound holds and the lower one may not. A rule that picks
    its threshold otherwise, as from a grid, is not covered.

    Args:
        n: Number of validation scores, at least 1.
        above: Number k of ranks above the threshold, 0 to ``n`` - 1.

    Returns:
        The mean and the central 95 % interval of that Beta distribution.

    Raises:
        ValueError: An argument is outside its range.

    Source:
        Vovk, "Conditional validity of inductive conformal predictors", ACML 2012.
    """
    if not 0 <= above < n:
        message = f"{above} ranks above a threshold among {n} scores"
        raise ValueError(message)
    from scipy.special import betaincinv

    low, high = (float(betaincinv(above + 1, n - above, share)) for share in (TAIL, 1 - TAIL))
    return Estimate(value=(above + 1) / (n + 1), low=low, high=high, n=n)


def measured_rate(clean: Judged) -> Estimate:
    """Estimate the false-positive rate of a fixed threshold from clean test images, whatever rule set it.

    Args:
        clean: The defense on clean images that neither trained nor calibrated it.

    Returns:
        The share of rejected images with its 95 % interval by Clopper and Pearson, since a rate is claimed.

    Raises:
        ValueError: There are no images.
    """
    rejected, n = int(clean.rejected.sum()), len(clean.image)
    low, high = clopper_pearson(rejected, n)
    return Estimate(value=rejected / n, low=low, high=high, n=n)
