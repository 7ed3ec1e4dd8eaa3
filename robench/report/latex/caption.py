"""What a LaTeX table says about itself: the caption for readers, comments for whoever has the source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from robench.api.records import ADAPTIVE, COMPOSITES, UNRELIABLE
from robench.report.latex.text import comment, escape
from robench.report.provenance import entry, provenance_lines
from robench.report.sweeps import count_outcomes, meanings, short_verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from robench.api.records import Card, RunSummary

DAGGER = r"$^\dagger$"
_NORMS = {"linf": r"$\ell_\infty$", "l2": r"$\ell_2$"}
_DIGITS = 12


def norm_sign(norm: str) -> str:
    """Return the sign of a norm, as LaTeX."""
    return _NORMS.get(norm, escape(norm))


def unreliable_defenses(summary: RunSummary) -> tuple[str, ...]:
    """Return the defenses whose evaluation card says so."""
    return tuple(name for name in summary.defenses if UNRELIABLE in short_verdict(summary, name))


def write_caption(summary: RunSummary) -> str:
    """Say in LaTeX what was measured, on what, and how."""
    run = summary.run
    measured = (
        r"Robust accuracy (correct or rejected; without attack, correct only) in \% with 95\,\% Wilson intervals: "
        f"{escape(run.dataset)}, classifier {escape(run.classifier)}, profile {escape(run.profile)}, "
        f"$n={run.images}$ test images, seed {run.seed}, norm {norm_sign(summary.norm)}."
    )
    parts = [*_incomplete(summary), measured, *_thresholds(summary.details), *_settings(summary)]
    return " ".join(parts)


def write_notes(summary: RunSummary, shown: Sequence[str], tried: Sequence[str], *, proportion: bool) -> str:
    """Say in LaTeX what the marks of a table mean, and where its numbers come from.

    Args:
        summary: The run.
        shown: Epsilons that have a column.
        tried: All that were evaluated.
        proportion: Whether there are rows of the share rejected.
    """
    parts = list(_doubts(summary))
    if len(summary.defenses) > 1:
        parts.append(
            "Bold: the best of a column and all whose intervals overlap its own, unless all do; "
            "never under attacks that do not know the defense."
        )
    if len(shown) < len(tried):
        parts.append(f"Columns are {len(shown)} of {len(tried)} values of $\\varepsilon$.")
    if proportion:
        parts.append("Rejected: share of images, the adversarial proportion.")
    parts += [f"{escape(line[:1].upper() + line[1:])}." for line in meanings(summary)]
    return " ".join([*parts, *_digests(summary)])


def write_comments(summary: RunSummary) -> list[str]:
    """Return what the source says above the tables: how they were made, from what, what failed, and the cards."""
    replay = summary.details.get("replay", summary.run.command)
    return [
        comment("robench report --format latex; needs \\usepackage{booktabs}"),
        comment(f"run {summary.run.id}, created {summary.run.created}: {replay}"),
        *map(comment, provenance_lines(summary.details)),
        *(
            comment(f"failed: {row.attack} on {row.defense} at eps {row.epsilon}: {row.reason}")
            for row in summary.failures
        ),
        *(comment(line) for card in summary.cards for line in _card(card)),
    ]


def _card(card: Card) -> Iterator[str]:
    yield f"evaluation card of {card.defense}: {card.verdict}"
    yield from (f"{number:2} {name}: {text}" for number, (name, text) in enumerate(card.lines, start=1))


def _incomplete(summary: RunSummary) -> Iterator[str]:
    if not summary.complete:
        yield rf"\textbf{{INCOMPLETE: {count_outcomes(summary):,} of {summary.planned:,} outcomes.}}"


def _doubts(summary: RunSummary) -> Iterator[str]:
    reasons = {card.defense: card.verdict.removeprefix(f"{UNRELIABLE}: ") for card in summary.cards}
    named = [f"{escape(name)} ({escape(reasons[name])})" for name in unreliable_defenses(summary)]
    if named:
        yield f"{DAGGER}\\,\\textbf{{{UNRELIABLE}}} by the evaluation card, and never bold: {', '.join(named)}."


def _thresholds(details: Mapping[str, object]) -> Iterator[str]:
    named = []
    for name, facts in entry(details, "defenses").items():
        if isinstance(facts, Mapping) and facts.get("threshold") is not None:
            rule = facts.get("threshold_rule")
            named.append(f"{escape(name)} {_value(facts['threshold'])}{f' ({escape(str(rule))})' if rule else ''}")
    if named:
        yield f"Scores are rejected above: {', '.join(named)}."


def _settings(summary: RunSummary) -> Iterator[str]:
    details = summary.details
    attacks = entry(details, "attacks")
    told = []
    for name in summary.attacks:
        parameters = entry(entry(attacks, name), "parameters")
        if name not in COMPOSITES and parameters:
            told.append(f"{escape(name)} {', '.join(f'{escape(key)} {_value(parameters[key])}' for key in parameters)}")
    if ADAPTIVE in summary.attacks and "budget" in details:
        told.append(f"{ADAPTIVE} budget {_value(details['budget'])}")
    if details.get("engine", "native") != "native":
        told.append(f"engine {_value(details['engine'])}")
    changed = [
        f"{name}.{text}"
        for name, texts in entry(details, "parameters_changed").items()
        if isinstance(texts, list)
        for text in texts
    ]
    if changed:
        told.append(f"changed from the defaults: {', '.join(map(escape, changed))}")
    if told:
        yield f"Settings: {'; '.join(told)}."


def _digests(summary: RunSummary) -> Iterator[str]:
    digests = {name: summary.details.get(f"{name}_digest") for name in ("data", "classifier")}
    known = [f"{name} {escape(digest[:_DIGITS])}" for name, digest in digests.items() if isinstance(digest, str)]
    release = entry(summary.details, "environment").get("robench")
    made = f"robench {escape(str(release))}, " if release else ""
    hashes = f"SHA-256: {', '.join(known)}; " if known else ""
    yield f"{hashes}{made}run {escape(summary.run.id)}."


def _value(value: object) -> str:
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value))
