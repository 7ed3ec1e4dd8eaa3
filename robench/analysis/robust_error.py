"""Robust error among the accepted: what goes wrong, of what the defense lets pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.analysis.detection import smallest_threshold
from robench.analysis.estimate import Estimate
from robench.analysis.judged import aligned

if TYPE_CHECKING:
    from robench.analysis.judged import Judged


def robust_error(clean: Judged, attacked: Judged) -> Estimate | None:
    """Estimate the share of errors among images that are accepted clean or attacked, at the deployed threshold.

    An image is an error if its clean or its attacked version is accepted as a wrong class. The metric takes one answer
    an image, so of a stochastic defense it sees the recorded outcome only.

    Args:
        clean: The defense on clean images.
        attacked: The same defense under attack.

    Returns:
        The estimate, whose ``n`` is the number of images of which a version is accepted; None if there is none.

    Raises:
        UsageError: The two have no image in common.

    Source:
        Stutz, Hein and Schiele, "Confidence-calibrated adversarial training: generalizing to unseen attacks", ICML
        2020.
    """
    clean, attacked = aligned(clean, attacked)
    accepted = ~(clean.rejected & attacked.rejected)
    return Estimate.mean((clean.wrong | attacked.wrong)[accepted]) if bool(accepted.any()) else None


def robust_error_at_tpr(clean: Judged, attacked: Judged, tpr: float = 0.99) -> Estimate | None:
    """Estimate the robust error with the threshold that accepts a given share of correctly classified clean images.

    That makes defenses comparable whose deployed thresholds differ. But the attacked images were found for the deployed
    threshold: an attacker who knew this one would find others, so the true error may be larger.

    Args:
        clean: The defense on clean images.
        attacked: The same defense under attack.
        tpr: Share to accept, in (0, 1), the threshold being taken from these very clean images.

    Returns:
        As ``robust_error``; None as well if the defense has no scores or classifies no clean image correctly.

    Raises:
        UsageError: The two have no image in common.
        ValueError: ``tpr`` is outside its range.
    """
    if clean.score is None or attacked.score is None or bool(clean.misclassified.all()):
        return None
    threshold = smallest_threshold(clean.score[~clean.misclassified], 1 - tpr)
    return robust_error(clean.at_threshold(threshold), attacked.at_threshold(threshold))
