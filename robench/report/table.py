"""The table of a run, before it is known whether a terminal or Markdown shows it.

Rows are attacks, columns are defenses. A cell is a tuple of pieces such as ``("96.4", "[94.4, 97.7]", "rej 3.2")``: a
renderer puts them on one line where there is room, below each other where there is not, and never cuts through one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from robench.api.records import ADAPTIVE, CLEAN, COMPOSITES, NORM_LABELS, REJECTION, WORST_CASE
from robench.report.provenance import has_threshold, one_line, provenance_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from robench.api.records import Card, CleanRow, ResultRow, RunSummary, WorstRow

Cell = tuple[str, ...]

_MISSING: Cell = ("-",)
_MOST_EPSILONS = 6
"""A sweep with more of them shows its largest and its worst; JSON, CSV and the store have all."""

_MEANING = "robust accuracy: correct or rejected; clean: correct only; 95 % Wilson intervals; all in %"
_UPPER_BOUNDS = {
    "naive": "naive: the attack does not know the detector or the selection",
    "oblivious": "oblivious: the attack knows the classifier only, not the defense",
}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table of text.

    Attributes:
        title: What was measured.
        warnings: To be read before the table.
        header: Of each column; the first is the column of row labels.
        rows: Each with a label and a cell per defense.
        notes: To be read below the table: meaning, failures, provenance.
        cards: Evaluation cards, one for each defense.
    """

    title: str
    warnings: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]
    cards: tuple[Card, ...]


@dataclass(frozen=True, kw_only=True)
class _Sweep:
    attack: str
    name: str  # the attack and what it knows
    epsilons: tuple[str, ...]  # of all defenses together, ascending


def build_grid(summary: RunSummary) -> Grid:
    """Lay out a run as a table.

    Args:
        summary: What to show; parts that are missing, partial or failed are marked as such.

    Returns:
        The clean row first; then, for each attack, a row per epsilon, or only the largest of more than six, and the
        worst of them.
    """
    return Grid(
        title=_title(summary),
        warnings=tuple(_warnings(summary)),
        header=("attack", *summary.defenses),
        rows=tuple(_rows(summary)),
        notes=(_MEANING, *_words(summary), *_caveats(summary), *_failures(summary), *provenance_lines(summary.details)),
        cards=summary.cards,
    )


def _title(summary: RunSummary) -> str:
    run = summary.run
    return (
        f"{run.dataset}, classifier {run.classifier}, profile {run.profile}: {run.images:,} images of the test split, "
        f"seed {run.seed}, norm {NORM_LABELS.get(summary.norm, summary.norm)}, run {run.id}"
    )


def _warnings(summary: RunSummary) -> Iterator[str]:
    if summary.complete:
        return
    done = sum(row.n for row in summary.clean) + sum(row.n for row in summary.results)
    ending = f"failed cells: {len(summary.failures)}, see below" if summary.failures else "the same command resumes"
    yield f"INCOMPLETE: {done:,} of {summary.planned:,} outcomes; {ending}"


def _sweeps(summary: RunSummary) -> list[_Sweep]:
    tried = [(row.attack, row.epsilon) for row in summary.results]
    tried += [(row.attack, row.epsilon) for row in summary.failures if row.attack != CLEAN]
    knowledge = {row.attack: row.knowledge for row in summary.results}
    return [
        _Sweep(
            attack=attack,
            name=f"{attack} ({knowledge[attack]})" if knowledge.get(attack, attack) != attack else attack,
            epsilons=tuple(sorted({epsilon for name, epsilon in tried if name == attack}, key=Decimal)),
        )
        for attack in summary.attacks
        if attack != REJECTION
    ]


def _rows(summary: RunSummary) -> Iterator[tuple[Cell, ...]]:
    images = summary.run.images
    rejecting = _rejecting(summary)
    failed = {(row.defense, row.attack, row.epsilon) for row in summary.failures}
    clean = {row.defense: row for row in summary.clean}
    results = {(row.defense, row.attack, row.epsilon): row for row in summary.results}
    worst = {(row.defense, row.attack): row for row in summary.worst}

    def cell(row: CleanRow | ResultRow | None, defense: str, attack: str, epsilon: str) -> Cell:
        if (defense, attack, epsilon) in failed:
            return ("failed",)
        return _MISSING if row is None else _figures(row, images, defense in rejecting)

    def worst_cell(defense: str, sweep: _Sweep) -> Cell:
        row = worst.get((defense, sweep.attack))
        if row is None:
            return _MISSING
        cell = (f"eps {row.worst_case_epsilon}:", *_figures(row, images, defense in rejecting))
        judged = sum((defense, sweep.attack, epsilon) in results for epsilon in sweep.epsilons)
        return cell if judged == len(sweep.epsilons) else (*cell, f"(of {judged} only)")

    yield (CLEAN,), *(cell(clean.get(name), name, CLEAN, "0") for name in summary.defenses)
    for sweep in _sweeps(summary):
        worst_case = sweep.attack in COMPOSITES
        shown = _some(sweep.epsilons) if worst_case else sweep.epsilons
        shown = shown if len(shown) <= _MOST_EPSILONS else shown[-1:]
        for epsilon in shown:
            keys = [(defense, sweep.attack, epsilon) for defense in summary.defenses]
            yield (sweep.name, f"eps {epsilon}"), *(cell(results.get(key), *key) for key in keys)
        if len(sweep.epsilons) > 1 and not worst_case:  # the worst case never rises: its last row is its worst
            label = (sweep.name, f"worst of {len(sweep.epsilons)}", "epsilons")
            yield label, *(worst_cell(defense, sweep) for defense in summary.defenses)
    if summary.cards:
        yield ("verdict",), *(_verdict(summary, defense) for defense in summary.defenses)


def _verdict(summary: RunSummary, defense: str) -> Cell:
    """Return the first words of a verdict: the figures are in the rows above it, the rest is on the card."""
    verdict = next((card.verdict for card in summary.cards if card.defense == defense), "-")
    return (verdict.split(":", maxsplit=1)[0],)


def _some(epsilons: tuple[str, ...]) -> tuple[str, ...]:
    """Return as many epsilons as a table bears, evenly spaced, the largest among them."""
    count = min(len(epsilons), _MOST_EPSILONS)
    return tuple(epsilons[len(epsilons) * (place + 1) // count - 1] for place in range(count))


def _rejecting(summary: RunSummary) -> set[str]:
    # Without provenance, a rejected image still shows that a defense rejects.
    rejected = {row.defense for row in summary.clean if row.rejected}
    rejected |= {row.defense for row in summary.results if row.rejected}
    return rejected | {name for name in summary.defenses if has_threshold(summary.details, name)}


def _figures(row: CleanRow | ResultRow | WorstRow, images: int, rejects: bool) -> Cell:
    cell: Cell = (f"{100 * row.accuracy:.1f}", f"[{100 * row.accuracy_low:.1f}, {100 * row.accuracy_high:.1f}]")
    if rejects:
        cell = (*cell, f"rej {100 * row.rejected / row.n:.1f}")
    return cell if row.n == images else (*cell, f"(n={row.n})")


def _words(summary: RunSummary) -> Iterator[str]:
    worst = (
        ""
        if set(summary.attacks) <= set(COMPOSITES)
        else "; worst: the epsilon of the sweep with the least robust accuracy"
    )
    yield f"rej: share rejected{worst}"
    most = max((len(sweep.epsilons) for sweep in _sweeps(summary)), default=0)
    if most > _MOST_EPSILONS:
        yield f"not all {most} epsilons have a row here: csv and json have them"


def _caveats(summary: RunSummary) -> Iterator[str]:
    if WORST_CASE in summary.attacks:
        names = summary.details.get("attacks")
        listed = tuple(names) if isinstance(names, Mapping) else ()
        tried = f"any of {', '.join(listed)}" if len(listed) > 1 else listed[0] if listed else "any attack"
        yield f"{WORST_CASE}: an image is lost where {tried} fooled the defense at this or a smaller epsilon listed"
    if ADAPTIVE in summary.attacks:
        yield f"{ADAPTIVE}: an image is lost where any attack that knows the defense won at this or a smaller epsilon"
    known = {row.knowledge for row in summary.results}
    for knowledge, meaning in _UPPER_BOUNDS.items():
        if knowledge in known:
            yield f"{meaning}; these numbers are upper bounds, not robustness"


def _failures(summary: RunSummary) -> Iterator[str]:
    # One cause usually fails a whole sweep: a line per cause, not one per epsilon.
    causes: dict[tuple[str, str, str], list[str]] = {}
    for row in summary.failures:
        causes.setdefault((row.defense, row.attack, row.reason), []).append(row.epsilon)
    for (defense, attack, reason), epsilons in causes.items():
        where = "" if attack == CLEAN else f" at eps {', '.join(epsilons)}"
        yield f"failed: {attack} on {defense}{where}: {one_line(reason)}"
