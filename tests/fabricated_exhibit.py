"""Pictures of a run, made up in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from robench.api.exhibit import CriticalCurve, Exhibit, RocCurve, ScoreHistogram, Specimen

if TYPE_CHECKING:
    from robench.api.records import RunSummary

CLASSES = tuple(str(digit) for digit in range(10))


def specimen(number: int = 0, *, outcome: str = "wrong", selecting: bool = True, channels: int = 1) -> Specimen:
    """An image under attack whose reconstruction as class 3 wins."""
    random = np.random.default_rng(number)
    clean = random.integers(0, 256, (channels, 8, 8)).astype(np.uint8)
    return Specimen(
        defense="magnet",
        attack="pgd",
        knowledge="naive",
        epsilon="0.3",
        image=number,
        label="7",
        prediction="3",
        outcome=outcome,
        score=0.02,
        threshold=0.0123,
        clean=clean,
        attacked=(clean // 2).astype(np.uint8),
        classes=CLASSES,
        reconstructions=random.integers(0, 256, (10, channels, 8, 8)).astype(np.uint8) if selecting else None,
        errors=np.where(np.arange(10) == 3, 0.05, 0.1).astype(np.float32) if selecting else None,
    )


def exhibit_of(summary: RunSummary, *, norm: str = "linf") -> Exhibit:
    """A run with every picture there is."""
    rows = [replace(row, norm=norm) for row in summary.results]
    return Exhibit(
        summary=replace(summary, norm=norm, results=tuple(rows)),
        histograms=(
            ScoreHistogram(
                defense="magnet",
                sample="clean images",
                edges=(0.0, 0.01, 0.02, 0.03),
                right=(5, 3, 1),
                wrong=(0, 1, 0),
                threshold=0.0123,
            ),
        ),
        rocs=(
            RocCurve(
                defense="magnet",
                sample="pgd, epsilon 0.3",
                false_positive_rates=(0.0, 0.1, 1.0),
                true_positive_rates=(0.0, 0.8, 1.0),
                auc=0.85,
                at_threshold=(0.05, 0.4),
                n_clean=500,
                n_adversarial=300,
            ),
        ),
        critical=(
            CriticalCurve(
                defense="magnet",
                epsilons=(0.0, 0.1, 0.3),
                standing=(0.98, 0.8, 0.1),
                low=(0.96, 0.7, 0.05),
                high=(0.99, 0.9, 0.2),
                n=500,
            ),
        ),
        specimens=tuple(
            specimen(number, outcome=outcome)
            for number, outcome in enumerate(("correct", "wrong", "rejected", "wrong"))
        ),
    )
