"""What charts of a defense show: how its scores are spread, what they tell apart, and critical epsilons as a curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from robench.analysis.critical import survival
from robench.analysis.detection import detection
from robench.api.exhibit import CriticalCurve, RocCurve, ScoreHistogram

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from robench.analysis.judged import Judged

_BINS = 30
_CORNERS = 200
"""Most corners of a ROC curve: more than a picture can show."""
_TAIL = 0.995
"""Share of the scores that a histogram is scaled to; the few larger ones are counted in its last bin."""


def score_histograms(defense: str, samples: Mapping[str, Judged], threshold: float) -> tuple[ScoreHistogram, ...]:
    """Count the rejection scores of several samples in the same bins.

    Args:
        defense: Name.
        samples: Outcomes by what they are of; those without scores are left out.
        threshold: Of the defense. It is always the edge of a bin: what is rejected lies right of it, all else left.
    """
    scored = {name: (one.score, one.misclassified) for name, one in samples.items() if one.score is not None}
    if not scored:
        return ()
    everything = np.concatenate([scores for scores, _ in scored.values()])
    edges = _edges(everything, threshold)

    def count(scores: NDArray[np.float64]) -> tuple[int, ...]:
        counts, _ = np.histogram(scores.clip(edges[0], edges[-1]), edges)
        return tuple(int(number) for number in counts)

    return tuple(
        ScoreHistogram(
            defense=defense,
            sample=name,
            edges=tuple(float(edge) for edge in edges),
            right=count(scores[~misclassified]),
            wrong=count(scores[misclassified]),
            threshold=threshold,
        )
        for name, (scores, misclassified) in scored.items()
    )


def _edges(scores: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Return the edges of the bins, ascending, with the threshold among them."""
    low = min(float(scores.min()), threshold)
    # Bins are closed on the left, and a score at the threshold is not rejected.
    border = float(np.nextafter(threshold, np.inf))
    if float(scores.max()) <= threshold:
        return (
            np.append(np.linspace(low, threshold, _BINS + 1)[:-1], border)
            if low < threshold
            else np.array([low, border])
        )
    least = (threshold - low) / (_BINS - 1)
    high = max(float(np.quantile(scores, _TAIL)), threshold + least, float(np.nextafter(border, np.inf)))
    left = min(max(round(_BINS * (threshold - low) / (high - low)), 1), _BINS - 1)
    return np.concatenate([np.linspace(low, border, left + 1)[:-1], np.linspace(border, high, _BINS - left + 1)])


def roc_curve(defense: str, sample: str, clean: Judged, attacked: Judged, threshold: float | None) -> RocCurve | None:
    """Trace what the score of a defense finds at every threshold; None where there is nothing to find.

    Args:
        defense: Name.
        sample: What the attacked images are of.
        clean: The defense on clean images.
        attacked: The same under attack; those that are misclassified, accepted or not, are to be found.
        threshold: Of the defense; None if it has none.
    """
    rated = detection(clean, attacked)
    if rated is None or clean.score is None or attacked.score is None:
        return None
    adversarial = attacked.score[attacked.misclassified]
    thresholds = np.unique(np.concatenate([clean.score, adversarial]))[::-1]
    if len(thresholds) > _CORNERS:
        thresholds = thresholds[np.linspace(0, len(thresholds) - 1, _CORNERS).astype(int)]
    false, true = (
        (0.0, *(float((scores > threshold).mean()) for threshold in thresholds), 1.0)
        for scores in (clean.score, adversarial)
    )
    return RocCurve(
        defense=defense,
        sample=sample,
        false_positive_rates=false,
        true_positive_rates=true,
        auc=rated.auc,
        at_threshold=None
        if threshold is None
        else (float((clean.score > threshold).mean()), float((adversarial > threshold).mean())),
        n_clean=len(clean.score),
        n_adversarial=len(adversarial),
    )


def critical_curve(defense: str, critical: NDArray[np.float64], epsilons: Sequence[float]) -> CriticalCurve:
    """Turn critical epsilons into the curve of what is left standing.

    Args:
        defense: Name.
        critical: Shape (n,), see ``robench.analysis.critical``.
        epsilons: Those that were tried, ascending; 0 is added.
    """
    grid = (0.0, *epsilons)
    standing = survival(critical, grid)
    return CriticalCurve(
        defense=defense,
        epsilons=grid,
        standing=tuple(one.value for one in standing),
        low=tuple(one.low for one in standing),
        high=tuple(one.high for one in standing),
        n=len(critical),
    )
