"""Robust accuracy of a defense that may reject, from most lenient to most strict.

They differ in which rejections they forgive. Each takes the worst case per image that the caller has found; a better
attack can only lower what it returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from robench.analysis.estimate import Estimate
from robench.analysis.judged import aligned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from robench.analysis.judged import Judged

_ROUNDING = 1e-9
"""Radii closer than this are equal: 0.1 * 0.7 is 0.06999999999999999, which must reach a radius of 0.07."""


def robust_accuracy(attacked: Judged) -> Estimate:
    """Estimate the chance that an attacked image is rejected or classified correctly.

    A defense that rejects everything gets 1, so this means little without the rejection rate on clean images.

    Args:
        attacked: The defense under attack.

    Raises:
        ValueError: There are no images.
    """
    return Estimate.mean(1 - attacked.fooled)


def strict_robust_accuracy(clean: Judged, attacked: Judged) -> Estimate:
    """Estimate the chance that an image is correct when clean and does not fool the defense when attacked.

    This is the headline: rejecting or misclassifying a clean image is an error, so a defense that rejects everything
    gets 0.

    Args:
        clean: The defense on clean images.
        attacked: The same defense under attack.

    Raises:
        UsageError: The two have no image in common.
    """
    clean, attacked = aligned(clean, attacked)
    return Estimate.mean(clean.correct * (1 - attacked.fooled))


def adversarial_proportion(judged: Judged) -> Estimate:
    """Estimate the share of images that is rejected: detections under attack, false alarms on clean images.

    Args:
        judged: The defense under attack or on clean images.

    Raises:
        ValueError: There are no images.
    """
    return Estimate.mean(judged.rejected)


def stratified_robust_accuracy(
    attacked: Judged, rejection_radius: NDArray[np.float64], *, epsilon: float, alpha: float
) -> Estimate:
    """Estimate robust accuracy where rejecting a slightly perturbed image is an error too.

    An image counts if nothing that was tried within epsilon was accepted as a wrong class, and nothing within alpha
    times epsilon was rejected. With alpha 0 only the rejection of clean images is an error; with alpha 1 every
    rejection is, which is ordinary robust accuracy.

    Args:
        attacked: The worst case of each image within epsilon.
        rejection_radius: Shape (n,), float64, one for each image of ``attacked``: the smallest size of a perturbation
            that was seen to be rejected, in pixel values; 0 where the clean image is, infinity where none was seen.
        epsilon: In pixel values, at least 0.
        alpha: Share of epsilon within which a rejection is an error, in [0, 1].

    Raises:
        ValueError: An argument is outside its range, or the radii do not match the images.

    Source:
        Chen, Raghuram, Choi, Wu, Liang and Jha, "Stratified adversarial robustness with rejection", ICML 2023, with a
        rejection loss that steps from 1 to 0 beyond alpha times epsilon.
    """
    if not (0 <= alpha <= 1 and epsilon >= 0):
        message = f"alpha {alpha} or epsilon {epsilon} is outside its range"
        raise ValueError(message)
    if rejection_radius.shape != attacked.image.shape or not bool((rejection_radius >= 0).all()):
        message = f"{len(attacked.image)} images need as many rejection radii, none negative"
        raise ValueError(message)
    rejected = rejection_radius <= alpha * epsilon + _ROUNDING
    return Estimate.mean(1 - np.maximum(attacked.fooled, rejected))
