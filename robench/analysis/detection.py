"""The score as a detector: does it tell clean images from adversarials, whatever the threshold?

An adversarial is an attacked image that is misclassified, accepted or not. An attacked image that is still classified
correctly does no harm, so a detector that passes it is not to blame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from robench.analysis.estimate import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from robench.analysis.judged import Judged

FALSE_POSITIVE_RATES = (0.001, 0.01, 0.05)


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What a detector finds at the price of some false alarms.

    Attributes:
        false_positive_rate: At most this share of the clean scores lies above the threshold, in (0, 1).
        threshold: The smallest such score; larger ones are detected.
        true_positive_rate: Share of adversarials above it; None where one false alarm is more than this rate, so that
            these clean images cannot tell it from 0.
    """

    false_positive_rate: float
    threshold: float
    true_positive_rate: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Detection:
    """How well a score separates adversarials from clean images.

    Attributes:
        auc: Probability that an adversarial scores higher than a clean image, ties counting half, in [0, 1].
        points: One for each false-positive rate asked for.
        n: Number of adversarials, on which all of this rests.
    """

    auc: float
    n: int
    points: tuple[OperatingPoint, ...]


def detection(clean: Judged, attacked: Judged, rates: Sequence[float] = FALSE_POSITIVE_RATES) -> Detection | None:
    """Rate the score of a defense as a detector.

    The thresholds come from these very clean images. Of a rate below 1 / n they cannot say what is found at it.

    Args:
        clean: The defense on clean images; all its scores count, also those of misclassified images.
        attacked: The same defense under attack, not necessarily on the same images.
        rates: False-positive rates, in (0, 1).

    Returns:
        The rating; None if the defense has no scores or no attacked image is misclassified.

    Raises:
        ValueError: A rate is outside its range, or there are no clean images.
    """
    if clean.score is None or attacked.score is None or not bool(attacked.misclassified.any()):
        return None
    adversarial = attacked.score[attacked.misclassified]
    points = tuple(_operating_point(clean.score, adversarial, rate) for rate in rates)
    return Detection(auc=_auc(clean.score, adversarial), n=len(adversarial), points=points)


def smallest_threshold(scores: NDArray[np.float64], share: float) -> float:
    """Return the smallest of some scores that at most a given share of them exceeds.

    Args:
        scores: Shape (n,), at least one.
        share: In (0, 1); below 1 / n, none may exceed the threshold.

    Raises:
        ValueError: The share is outside its range, or there are no scores.
    """
    if not (0 < share < 1 and len(scores)):
        message = f"no threshold lets a share of {share} of {len(scores)} scores pass it"
        raise ValueError(message)
    return float(np.sort(scores)[len(scores) - 1 - _admitted(len(scores), share)])


def _admitted(n: int, share: float) -> int:
    """Return how many of some scores are at most a share of them."""
    return math.floor(share * n + 1e-9)  # the small term undoes rounding, as in (1 - 0.9) * 10 = 0.999...


def _auc(clean: NDArray[np.float64], adversarial: NDArray[np.float64]) -> float:
    """Return the rank statistic of Mann and Whitney (1947) over the number of pairs."""
    ordered = np.sort(clean)
    below = np.searchsorted(ordered, adversarial, side="left")
    not_above = np.searchsorted(ordered, adversarial, side="right")
    return float((below + not_above).mean()) / (2 * len(clean))


def _operating_point(clean: NDArray[np.float64], adversarial: NDArray[np.float64], rate: float) -> OperatingPoint:
    threshold = smallest_threshold(clean, rate)
    found = Estimate.mean(adversarial > threshold) if _admitted(len(clean), rate) else None
    return OperatingPoint(false_positive_rate=rate, threshold=threshold, true_positive_rate=found)
