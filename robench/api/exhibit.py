"""What a report with pictures shows of a run, beyond its tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from robench.api.records import Finding, RunSummary


@dataclass(frozen=True, kw_only=True)
class ScoreHistogram:
    """How the rejection scores of one defense are spread over images of one kind.

    Attributes:
        defense: Name.
        sample: Which images, for people: ``clean``, or an attack and its epsilon.
        edges: Borders of the B bins, ascending, B + 1 numbers; the same for all samples of a defense.
        right, wrong: Number of images in each bin whose prediction is right, or is not.
        threshold: Scores above it are rejected.
    """

    defense: str
    sample: str
    edges: tuple[float, ...]
    right: tuple[int, ...]
    wrong: tuple[int, ...]
    threshold: float


@dataclass(frozen=True, kw_only=True)
class RocCurve:
    """What share of adversarials a score finds at the price of what share of clean images.

    Attributes:
        defense: Name.
        sample: Which adversarials: an attack and its epsilon.
        false_positive_rates, true_positive_rates: Both ascending, in [0, 1], from (0, 0) to (1, 1).
        auc: Area below, in [0, 1].
        at_threshold: Both rates at the threshold of the defense; None if it has none.
        n_clean, n_adversarial: Numbers of images.
    """

    defense: str
    sample: str
    false_positive_rates: tuple[float, ...]
    true_positive_rates: tuple[float, ...]
    auc: float
    at_threshold: tuple[float, float] | None
    n_clean: int
    n_adversarial: int


@dataclass(frozen=True, kw_only=True)
class CriticalCurve:
    """Share of the images that nothing has won within each epsilon.

    Attributes:
        defense: Name.
        epsilons: In pixel values, ascending, from 0.
        standing, low, high: Share of the images with its 95 % Wilson interval, in [0, 1].
        n: Number of images.
    """

    defense: str
    epsilons: tuple[float, ...]
    standing: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: int


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """One image under attack, to look at.

    Attributes:
        defense, attack, knowledge, epsilon: Which cell.
        image: Index in the test split.
        label, prediction: Names of classes.
        outcome: ``correct``, ``wrong`` or ``rejected``.
        score, threshold: None from a defense that never rejects.
        clean, attacked: Shape (C, H, W), uint8.
        classes: Names of all K classes.
        reconstructions: Shape (K, C, H, W), uint8, one for each class; None where none are kept.
        errors: Shape (K,), float32, of the reconstructions; the least one wins.
    """

    defense: str
    attack: str
    knowledge: str
    epsilon: str
    image: int
    label: str
    prediction: str
    outcome: str
    score: float | None
    threshold: float | None
    clean: NDArray[np.uint8]
    attacked: NDArray[np.uint8]
    classes: tuple[str, ...]
    reconstructions: NDArray[np.uint8] | None = None
    errors: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """A run with what its pictures need.

    Attributes:
        summary: Its tables and cards.
        histograms, rocs: Of defenses that reject.
        critical: Of defenses whose clean images are all judged, and that were attacked.
        specimens: Images to look at; none unless the run has kept its examples.
        no_specimens: Why there are none, and what to do about it; empty where there are some.
        findings: Of the diagnostics, by defense, in order.
        notes: What else is missing.
        glossary: What the defenses and the attacks of the run are, by name, as far as their plugins are installed.
    """

    summary: RunSummary
    histograms: tuple[ScoreHistogram, ...] = ()
    rocs: tuple[RocCurve, ...] = ()
    critical: tuple[CriticalCurve, ...] = ()
    specimens: tuple[Specimen, ...] = ()
    no_specimens: str = ""
    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    glossary: Mapping[str, str] = field(default_factory=dict)
