"""The evaluation card: ten lines that say what is known of a defense, and what its figures are worth."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from robench.analysis.calibrated import certified_rate
from robench.analysis.evidence import CLEAN_ACCURACY, LENIENT, MEDIAN, STRICT, imply_at_half, measure
from robench.analysis.judged import aligned
from robench.analysis.mcnemar import Discordance
from robench.analysis.robustness import strict_robust_accuracy
from robench.analysis.summary import withstood
from robench.api.records import COMPOSITES, NORM_LABELS, UNRELIABLE, Card

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from robench.analysis.evidence import Evidence
    from robench.api.records import Cell, Finding, FindingStatus, Metric, Run

_SHOWN = 3
"""Epsilons of which a line speaks: the first, the middle and the last."""
_DIGITS = 12
_SURE = 0.05
_CHANGES = {"doubling": "2x effort", "restarts": "2x restarts", "rounding": "8-bit rounding"}
"""Diagnostics that measure a change, and what the card calls them."""
_TEST_RATE = "false-positive rate, test"


def build_card(
    evidence: Evidence, baseline: Evidence | None, run: Run, details: Mapping[str, object], created: str
) -> Card:
    """Write the card of a defense.

    Args:
        evidence: What is known of it.
        baseline: The same of the undefended classifier; None if that is the defense, or was not evaluated.
        run: The run that ends.
        details: Its provenance.
        created: UTC, ISO 8601.
    """
    metrics = measure(evidence)
    known = {(metric.epsilon, metric.name): metric for metric in metrics}
    shown = _some(tuple(evidence.worst))
    against = _against(evidence, baseline, shown)
    verdict = _verdict(evidence, known)
    worse = [epsilon for epsilon, found in against.items() if _sign(found) < 0]
    if worse:
        verdict = f"{verdict}; LESS robust than no defense at eps {', '.join(worse)}"
    lines = (
        ("THREAT", _threat(evidence, run, details)),
        ("CLEAN", _clean(evidence, baseline, known)),
        ("ROBUST", _robust(evidence, known, shown)),
        ("STRATA", _strata(known, shown)),
        ("NAIVE", _naive(evidence, known)),
        ("WINS", _wins(evidence)),
        ("DIAG", _diagnostics(evidence)),
        ("STABLE", _stability(evidence, shown)),
        ("CONTEXT", _context(evidence, against, baseline)),
        ("VERDICT", f"{verdict}; replay: {details.get('replay', run.command)}"),
    )
    return Card(defense=evidence.defense, created=created, verdict=verdict, lines=lines, metrics=metrics)


def _some(epsilons: Sequence[str]) -> tuple[str, ...]:
    if len(epsilons) <= _SHOWN:
        return tuple(epsilons)
    return (epsilons[0], epsilons[(len(epsilons) - 1) // 2], epsilons[-1])  # of two in the middle as tables do


def _threat(evidence: Evidence, run: Run, details: Mapping[str, object]) -> str:
    images = hashlib.sha256(np.sort(evidence.clean.image).tobytes()).hexdigest()[:_DIGITS]
    digests = {
        "weights": evidence.facts.get("digest"),
        "data": details.get("data_digest"),
        "code": evidence.facts.get("code"),
    }
    hashes = ", ".join(f"{name} {str(value)[:_DIGITS]}" for name, value in digests.items() if value)
    budget = f" (budget {details['budget']})" if evidence.members and "budget" in details else ""
    norm = NORM_LABELS.get(evidence.norm, "no attack")
    return (
        f"{norm}, eps {' '.join(evidence.worst)}; knowledge {evidence.knowledge}{budget}; "
        f"n {len(evidence.clean.image):,} (ids {images}), seed {run.seed}; SHA-256: {hashes}"
        f"{_changed(details, evidence.defense)}"
    )


def _changed(details: Mapping[str, object], defense: str) -> str:
    """Return the parameters that are not as they would be, but for those of other defenses."""
    changed, defenses = details.get("parameters_changed"), details.get("defenses")
    if not isinstance(changed, dict) or not isinstance(defenses, dict):
        return ""
    others = set(defenses) - {defense}
    texts = [f"{name}.{text}" for name, own in changed.items() if name not in others for text in own]
    return f"; set {', '.join(texts)}" if texts else ""


def _clean(evidence: Evidence, baseline: Evidence | None, known: Mapping[tuple[str, str], Metric]) -> str:
    clean, facts = evidence.clean, evidence.facts
    parts = []
    if baseline is not None:
        common, _ = aligned(baseline.clean, clean)
        parts.append(f"undefended {100 * float((~common.misclassified).mean()):.1f}")
    if clean.score is not None:
        parts.append(f"without detector {100 * float((~clean.misclassified).mean()):.1f}")
    parts.append(f"strict{' by most draws' * evidence.stochastic} {_share(known['', CLEAN_ACCURACY])}")
    threshold, rate, count = (
        facts.get(key) for key in ("threshold", "false_positive_rate_validation", "validation_images")
    )
    if isinstance(threshold, float) and isinstance(rate, float) and isinstance(count, int):
        parts.append(f"threshold {threshold:.4g} ({facts.get('threshold_rule')}, {count:,} validation images)")
        certified = ""
        if facts.get("threshold_rule") == "finite-sample":
            interval = certified_rate(count, round(rate * count))
            certified = f", certifies {_percent(interval.low)} to {_percent(interval.high)}"
        parts.append(
            f"rejected: validation {_percent(rate)}{certified}, test {_share(known['', _TEST_RATE], digits=2)}"
        )
    return "; ".join(parts)


def _robust(evidence: Evidence, known: Mapping[tuple[str, str], Metric], shown: Sequence[str]) -> str:
    strict = " | ".join(f"eps {epsilon} {_share(known[epsilon, STRICT])}" for epsilon in shown)
    lenient = " | ".join(_share(known[epsilon, LENIENT]) for epsilon in shown)
    ends = " | ".join(
        f"{int(one.correct.sum())}/{int(one.rejected.sum())}/{int(one.wrong.sum())}"
        for one in (evidence.worst[epsilon] for epsilon in shown)
    )
    parts = [
        f"strict {strict}",
        f"correct/rejected/fooled{' by most draws' * evidence.stochastic} {ends}",
        f"median critical eps {_median(known['', MEDIAN])}",
    ]
    if evidence.clean.score is not None:
        parts.insert(1, f"a rejection is right {lenient}")
    if evidence.strangers:
        parts.append(f"with wins of {', '.join(evidence.strangers)} of another run")
    return "; ".join(parts)


def _strata(known: Mapping[tuple[str, str], Metric], shown: Sequence[str]) -> str:
    parts = []
    if any((epsilon, "robust accuracy, alpha 0") in known for epsilon in shown):
        strata = " | ".join(
            " ".join(
                _plain(known.get((epsilon, f"robust accuracy, alpha {alpha}"))) for alpha in ("0", "0.1", "0.3", "1")
            )
            for epsilon in shown
        )
        parts.append(f"alpha 0 0.1 0.3 1: {strata}")
    for name, label in (
        ("detector AUC", "AUC"),
        ("detector TPR at FPR 0.1 %", "TPR at FPR 0.1 %"),
        ("detector TPR at FPR 1 %", "1 %"),
        ("detector TPR at FPR 5 %", "5 %"),
        ("robust error at 99 % TPR", "robust error at 99 % TPR"),
    ):
        if any((epsilon, name) in known for epsilon in shown):
            parts.append(f"{label} {' | '.join(_plain(known.get((epsilon, name))) for epsilon in shown)}")
    return "; ".join(parts) or "it never rejects"


def _naive(evidence: Evidence, known: Mapping[tuple[str, str], Metric]) -> str:
    naive = [count for count in evidence.alone if count.cell.knowledge in {"naive", "oblivious"}]
    if not naive:
        return "no naive attack was run on its own"
    worst = min(naive, key=lambda count: withstood(count) / count.n)
    accuracy = withstood(worst) / worst.n
    text = (
        f"worst in aggregate {100 * accuracy:.1f} ({worst.cell.attack}, eps {worst.cell.epsilon}), rejection is right"
    )
    if evidence.knowledge != "adaptive":
        return f"{text}; how much too good is not known: no attack knew the defense"
    if (worst.cell.epsilon, LENIENT) in known:
        honest = known[worst.cell.epsilon, LENIENT].value or 0.0
        least = min((known[epsilon, LENIENT].value or 0.0 for epsilon in evidence.worst), default=0.0)
        text += (
            f"; per image at that eps {100 * honest:.1f}, at the worst {100 * least:.1f}: "
            f"{100 * (accuracy - least):.1f} points too good"
        )
    return text


def _wins(evidence: Evidence) -> str:
    counts, parts = [*evidence.alone, *evidence.members], []
    for attack in dict.fromkeys(count.cell.attack for count in counts):
        own = [count for count in counts if count.cell.attack == attack]
        tried, won = sum(count.n for count in own), sum(count.wrong for count in own)
        seconds, queries = sum(count.seconds for count in own), sum(count.queries for count in own)
        credit = evidence.credit.get(attack)
        only = f": alone {credit.alone}, first {credit.first}" if credit else ", of one draw each"
        parts.append(f"{attack} {won}/{tried}{only} ({queries:,} queries, {seconds:.1f} s)")
    if not parts:
        return "no attack was run"
    words = "alone: all others tried in vain; first: nobody else won, but some were spared the image"
    return f"won/tried, images at each eps; {words}: {'; '.join(parts)}"


def _diagnostics(evidence: Evidence) -> str:
    if not evidence.findings:
        idle = not evidence.members and not any(_takes_steps(count.cell) for count in evidence.alone)
        return "not run: no attack of this run takes steps in a ball" if idle else "not run"
    parts = []
    for status in ("FAIL", "WARN", "PASS"):
        own = [finding for finding in evidence.findings if finding.status == status]
        names = ", ".join(f"{finding.name} ({finding.number})" if status != "PASS" else finding.name for finding in own)
        if own:
            parts.append(f"{status} {len(own)}: {names}")
    return "; ".join(parts)


def _takes_steps(cell: Cell) -> bool:
    attack = json.loads(cell.settings).get("attack")
    if not isinstance(attack, dict):
        return True  # as far as is known
    return "steps" in attack.get("parameters", {}) and attack.get("form") != "minimal"


def _stability(evidence: Evidence, shown: Sequence[str]) -> str:
    parts = [_measured(evidence.findings, name, label) for name, label in _CHANGES.items()]
    threshold = evidence.facts.get("threshold")
    if isinstance(threshold, float) and evidence.clean.score is not None:
        for change in (0.9, 1.1):
            moved = " | ".join(
                f"{100 * float((~evidence.worst[epsilon].at_threshold(change * threshold).wrong).mean()):.1f}"
                for epsilon in shown
            )
            parts.append(f"threshold x{change:g}, attacked for the old one: {moved}")
    if evidence.stochastic:
        parts.append(_measured(evidence.findings, "redraw", "latent redraw"))
        majority = " | ".join(f"{100 * float((~evidence.worst[epsilon].wrong).mean()):.1f}" for epsilon in shown)
        parts.append(f"by most draws instead of their mean: {majority}")
    return "; ".join(parts)


def _measured(findings: Sequence[Finding], name: str, label: str) -> str:
    """Return what the diagnostics of this name measured, each attack's."""
    split = [(finding, *finding.name.partition(": ")[::2]) for finding in findings]
    numbers = [f"{attack} {finding.number}" for finding, attack, own in split if own == name]
    return f"{label}: {', '.join(numbers) or 'not run'}"


def _context(evidence: Evidence, against: Mapping[str, Discordance], baseline: Evidence | None) -> str:
    compared, implied = _compared(evidence, against, baseline), imply_at_half(evidence)
    if implied is None:
        return compared
    if implied.epsilon in evidence.worst:
        return f"{compared}; at half the largest eps, {implied.epsilon}: strict {100 * implied.most:.1f}"
    bounds = f"at least {100 * implied.least:.1f}, at most {100 * implied.most:.1f}"
    return f"{compared}; implied at half the largest eps, {implied.epsilon}, not evaluated: strict {bounds}"


def _compared(evidence: Evidence, against: Mapping[str, Discordance], baseline: Evidence | None) -> str:
    if baseline is None:
        return "this is the baseline" if evidence.defense == "none" else "the undefended classifier was not evaluated"
    blind = evidence.knowledge != "adaptive"
    words = {0: "no difference shown", 1: "fewer images lost" if blind else "MORE robust", -1: "LESS robust"}
    parts = [
        f"eps {epsilon} {words[_sign(found)]} (b {found.only_first}, c {found.only_second}, p {found.p:.2g})"
        for epsilon, found in against.items()
    ]
    if blind and any(_sign(found) > 0 for found in against.values()):
        # Whoever knows the defense may win the images that are left.
        parts.append("that it is more robust is not to be shown: no attack knew the defense")
    return f"than no defense, McNemar: {'; '.join(parts)}" if parts else "no epsilon in common with the baseline"


def _against(evidence: Evidence, baseline: Evidence | None, shown: Sequence[str]) -> dict[str, Discordance]:
    """Compare with the baseline at the epsilons that both have, image by image, a clean error being one."""
    found = {}
    for epsilon in shown:
        if baseline is None or epsilon not in baseline.worst:
            continue
        clean, attacked, theirs, bare = aligned(
            evidence.clean, evidence.worst[epsilon], baseline.clean, baseline.worst[epsilon]
        )
        found[epsilon] = Discordance.between(clean.correct & ~attacked.wrong, theirs.correct & ~bare.wrong)
    return found


def _sign(found: Discordance) -> int:
    """Return 1 if the first is more robust, -1 if the second is, 0 if neither is shown to be."""
    if found.p >= _SURE:
        return 0
    return 1 if found.only_first > found.only_second else -1


def diagnostics_that_count(evidence: Evidence, status: FindingStatus) -> tuple[str, ...]:
    """Name the diagnostics of the headline's attacks with a status.

    Where an ensemble knows the defense, it is the headline, whatever naive attacks beside it lack.
    """
    return tuple(
        finding.name
        for finding in evidence.findings
        if finding.status == status and (not evidence.adaptive or finding.name.split(":")[0] in COMPOSITES)
    )


def failed_diagnostics(evidence: Evidence) -> tuple[str, ...]:
    """Name the diagnostics of the headline's attacks that failed; none where everything is lost.

    No doubt can raise a bound of 0.
    """
    failed = diagnostics_that_count(evidence, "FAIL")
    standing = any(strict_robust_accuracy(evidence.clean, one).value for one in evidence.worst.values())
    return failed if standing else ()


def _verdict(evidence: Evidence, known: Mapping[tuple[str, str], Metric]) -> str:
    failed = failed_diagnostics(evidence)
    bounds = {epsilon: known[epsilon, STRICT].value or 0.0 for epsilon in evidence.worst}
    largest = max(evidence.worst, key=float, default=None)
    if failed:
        return f"{UNRELIABLE}: {', '.join(failed)}"
    if largest is None:
        return "nothing is bounded: no attack was after a wrong answer"
    told = ", ".join(f"{100 * bounds[epsilon]:.1f} % at eps {epsilon}" for epsilon in _some(tuple(evidence.worst)))
    who = "" if evidence.adaptive else f", by {_behind(evidence)}"
    return f"upper bound only{who}: at most {told}"


def _behind(evidence: Evidence) -> str:
    """Name the attacks that won, those of other runs too; where none did, those that were tried."""
    knowledge = {count.cell.attack: count.cell.knowledge for count in (*evidence.alone, *evidence.members)}
    won = [name for name in knowledge if name in evidence.winners]
    others = [f"{name} of another run" for name in evidence.strangers]
    groups: dict[str, list[str]] = {}
    for name in won or ([] if others else knowledge):
        groups.setdefault(knowledge[name], []).append(name)
    return ", ".join([*(f"{', '.join(names)} ({known})" for known, names in groups.items()), *others])


def _share(metric: Metric, digits: int = 1) -> str:
    value, low, high = (100 * (number or 0.0) for number in (metric.value, metric.low, metric.high))
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _plain(metric: Metric | None) -> str:
    return "-" if metric is None or metric.value is None else f"{100 * metric.value:.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _median(metric: Metric) -> str:
    value, low, high = (
        "beyond" if number is None else f"{number:g}" for number in (metric.value, metric.low, metric.high)
    )
    return f"{value} [{low}, {high}]"
