"""Everything that a run, and the store behind it, know about one defense; and the figures that follow."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from robench.analysis.calibrated import measured_rate
from robench.analysis.critical import median_critical
from robench.analysis.detection import detection
from robench.analysis.robust_error import robust_error, robust_error_at_tpr
from robench.analysis.robustness import (
    adversarial_proportion,
    robust_accuracy,
    stratified_robust_accuracy,
    strict_robust_accuracy,
)
from robench.api.records import Metric, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from robench.analysis.credit import Credit
    from robench.analysis.estimate import Estimate
    from robench.analysis.judged import Judged
    from robench.api.records import CellCounts, Finding, Win

ALPHAS = ("0", "0.01", "0.05", "0.1", "0.15", "0.2", "0.25", "0.3", "0.5", "1")
"""Shares of epsilon within which a rejection may count as an error: Chen et al. (2023)."""

CLEAN_ACCURACY = "clean accuracy, a rejection is wrong"
STRICT = "strict robust accuracy"
LENIENT = "robust accuracy, a rejection is right"
MEDIAN = "median critical epsilon"

_LUCKLESS = 0.5
"""Share of draws that a win of another run over a stochastic defense counts for: it took more than this."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of one defense.

    Attributes:
        defense: Name.
        norm: ``linf`` or ``l2``: all of this is about balls of one norm.
        knowledge: Of the attacks behind ``worst``.
        clean: On clean images.
        worst: The worst case of each image by epsilon, ascending: over all attacks of the run and, for whatever
            defense is not random, of all other runs in the store.
        critical: Shape (n,), float64, of the images of ``clean``: the smallest epsilon at which something won, 0 where
            the clean image is wrong, infinity where nothing won.
        rejection: Shape (n,), float64, of the same images: the smallest epsilon at which one was seen to be rejected;
            None where nobody looked.
        alone: Attacks that ran on their own, one count for each epsilon.
        members: What the attacks of the ensemble were tried on.
        credit: What each attack won, on its own or as a member, by name.
        stochastic: Whether the defense may answer the same image differently.
        findings: Of diagnostics.
        facts: What the run's details say of the defense.
        winners: Attacks of this run that won an image at its smallest epsilon, by name.
        strangers: Attacks of other runs that won an image at a smaller epsilon than this run did, by name.
    """

    defense: str
    norm: str
    knowledge: str
    clean: Judged
    worst: Mapping[str, Judged]
    critical: NDArray[np.float64]
    rejection: NDArray[np.float64] | None
    alone: Sequence[CellCounts]
    members: Sequence[CellCounts]
    credit: Mapping[str, Credit]
    stochastic: bool
    findings: Sequence[Finding]
    facts: Mapping[str, object]
    winners: Sequence[str] = ()
    strangers: Sequence[str] = ()

    @property
    def adaptive(self) -> bool:
        """Whether the headline is an ensemble with attacks that know the defense."""
        return bool(self.members) and self.knowledge == "adaptive"


def critical_epsilons(judged: Mapping[str, Judged], clean: Judged, wins: Sequence[Win]) -> NDArray[np.float64]:
    """Return the smallest epsilon at which each image was judged wrong, shape (n,), in the order of ``clean``.

    Args:
        judged: Of this run, by epsilon, on the images of ``clean``.
        clean: The defense on clean images.
        wins: Of all runs on the same subject.
    """
    lowest = {win.image: float(win.epsilon) for win in wins}
    critical = np.array([lowest.get(int(image), math.inf) for image in clean.image])
    for epsilon, one in judged.items():
        critical = np.where(one.wrong, np.minimum(critical, float(epsilon)), critical)
    return np.where(clean.wrong, 0.0, critical)


def worst_case(judged: Judged, critical: NDArray[np.float64], epsilon: str, *, stochastic: bool) -> Judged:
    """Return what is known at an epsilon with the wins of other attacks and of smaller epsilons in it.

    Args:
        judged: The outcomes of one attack or ensemble.
        critical: Critical epsilons of the same images.
        epsilon: Decimal text.
        stochastic: Whether the defense is random; a win then counts for the share of draws that it is known to take.
    """
    won = critical <= float(epsilon)
    fooled = np.maximum(judged.fooled, np.where(won, _LUCKLESS if stochastic else 1.0, 0.0))
    outcome = np.where(won, Outcome.WRONG.value, judged.outcome)
    return replace(judged, fooled=fooled, outcome=outcome)


def rejection_radii(judged: Mapping[str, Judged], clean: Judged) -> NDArray[np.float64]:
    """Return the smallest epsilon at which each image was rejected, shape (n,), in the order of ``clean``."""
    radius = np.where(clean.rejected, 0.0, math.inf)
    for epsilon, one in judged.items():
        radius = np.where(one.rejected, np.minimum(radius, float(epsilon)), radius)
    return radius


@dataclass(frozen=True, kw_only=True)
class Implied:
    """What is known of strict robust accuracy at an epsilon that need not have been evaluated.

    Attributes:
        epsilon: Decimal text.
        least: In [0, 1]: whatever withstands a larger ball withstands this one. The images that no attack has won at
            the next epsilon that was evaluated.
        most: In [0, 1]: those that no attack has won at this or a smaller epsilon; equal to ``least`` where this one
            was evaluated.
    """

    epsilon: str
    least: float
    most: float


def imply_at_half(evidence: Evidence) -> Implied | None:
    """Say what is known at half the largest epsilon; None without any."""
    if not evidence.worst:
        return None
    known = sorted(evidence.worst, key=Decimal)
    half = Decimal(known[-1]) / 2
    above = next(epsilon for epsilon in known if Decimal(epsilon) >= half)
    below = next((evidence.worst[epsilon] for epsilon in reversed(known) if Decimal(epsilon) <= half), None)
    text = f"{half.normalize():f}"
    # A win of another run may lie between two epsilons of this one.
    reached = worst_case(below or _harmless(evidence.clean), evidence.critical, text, stochastic=evidence.stochastic)
    most = strict_robust_accuracy(evidence.clean, reached).value
    # A single draw of a stochastic defense may say more of a small ball than is known of a larger one.
    least = min(most, strict_robust_accuracy(evidence.clean, evidence.worst[above]).value)
    return Implied(epsilon=text, least=least, most=most)


def measure(evidence: Evidence) -> tuple[Metric, ...]:
    """Work out all figures of an evaluation, those of each epsilon together, epsilons ascending."""
    return tuple(_clean_metrics(evidence)) + tuple(
        metric for epsilon in evidence.worst for metric in _metrics(evidence, epsilon)
    )


def _clean_metrics(evidence: Evidence) -> Iterator[Metric]:
    clean = evidence.clean
    yield _metric("", CLEAN_ACCURACY, strict_robust_accuracy(clean, _harmless(clean)))
    if clean.score is not None:
        yield _metric("", "false-positive rate, test", measured_rate(clean))
    yield _metric("", MEDIAN, median_critical(evidence.critical))


def _harmless(clean: Judged) -> Judged:
    return replace(clean, fooled=np.zeros_like(clean.fooled))


def _metrics(evidence: Evidence, epsilon: str) -> Iterator[Metric]:
    clean, worst = evidence.clean, evidence.worst[epsilon]
    yield _metric(epsilon, STRICT, strict_robust_accuracy(clean, worst))
    yield _metric(epsilon, LENIENT, robust_accuracy(worst))
    if clean.score is None:
        return
    yield _metric(epsilon, "adversarial proportion", adversarial_proportion(worst))
    if evidence.rejection is not None:
        for alpha in ALPHAS:
            found = stratified_robust_accuracy(worst, evidence.rejection, epsilon=float(epsilon), alpha=float(alpha))
            yield _metric(epsilon, f"robust accuracy, alpha {alpha}", found)
    for name, error in (
        ("robust error", robust_error(clean, worst)),
        ("robust error at 99 % TPR", _error_at(evidence, epsilon)),
    ):
        if error is not None:
            yield _metric(epsilon, name, error)
    found_out = detection(clean, worst)
    if found_out is not None:
        unknown = Metric(epsilon=epsilon, name="detector AUC", value=None, low=None, high=None, n=found_out.n)
        yield replace(unknown, value=found_out.auc)
        for point in found_out.points:
            name, rate = f"detector TPR at FPR {100 * point.false_positive_rate:g} %", point.true_positive_rate
            yield replace(unknown, name=name) if rate is None else _metric(epsilon, name, rate)


def _error_at(evidence: Evidence, epsilon: str) -> Estimate | None:
    return robust_error_at_tpr(evidence.clean, evidence.worst[epsilon])


def _metric(epsilon: str, name: str, estimate: Estimate) -> Metric:
    value, low, high = (
        None if math.isinf(number) else float(number) for number in (estimate.value, estimate.low, estimate.high)
    )
    return Metric(epsilon=epsilon, name=name, value=value, low=low, high=high, n=estimate.n)
