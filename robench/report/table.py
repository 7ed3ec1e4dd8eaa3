"""The table of a run, before it is known whether a terminal or Markdown shows it.

Rows are attacks, columns are defenses. A cell is a tuple of pieces such as ``("96.4", "[94.4, 97.7]", "rej 3.2")``: a
renderer puts them on one line where there is room, below each other where there is not, and never cuts through one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.api.records import CLEAN, COMPOSITES, NORM_LABELS
from robench.report.provenance import failed_plugin_lines, one_line, provenance_lines
from robench.report.sweeps import (
    MOST_EPSILONS,
    count_outcomes,
    list_sweeps,
    meanings,
    pick,
    rejecting_defenses,
    short_verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from robench.api.records import Card, CleanRow, ResultRow, RunSummary, WorstRow
    from robench.report.sweeps import Sweep

Cell = tuple[str, ...]

_MISSING: Cell = ("-",)
_FEW = 3
"""Rows of a sweep of many epsilons that has a row for its worst as well."""

_MEANING = (
    "robust accuracy: correct or rejected; clean: correct only; of a stochastic defense the mean over its draws; "
    "95 % Wilson intervals; all in %"
)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Robust accuracy of every defense over the epsilons of one attack.

    Attributes:
        after: Place of the row that it belongs below.
        label: Of the row that it would be.
        epsilons: Ascending.
        values: Of each defense at each epsilon, shares in [0, 1]; None where nothing was judged.
    """

    after: int
    label: Cell
    epsilons: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table of text.

    Attributes:
        title: What was measured.
        warnings: To be read before the table.
        header: Of each column; the first is the column of row labels.
        rows: Each with a label and a cell per defense.
        curves: Of sweeps of which not all epsilons have a row, for renderers that can draw.
        notes: To be read below the table: meaning, failures, provenance.
        cards: Evaluation cards, one for each defense.
    """

    title: str
    warnings: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    curves: tuple[Curve, ...]
    notes: tuple[str, ...]
    cards: tuple[Card, ...]


def build_grid(summary: RunSummary) -> Grid:
    """Lay out a run as a table.

    Args:
        summary: What to show; parts that are missing, partial or failed are marked as such.

    Returns:
        The clean row first; then, for each attack, a row per epsilon, or a few of more than six, and the worst of all.
    """
    rows = tuple(_rows(summary))
    return Grid(
        title=_title(summary),
        warnings=tuple(_warnings(summary)),
        header=("attack", *summary.defenses),
        rows=rows,
        curves=tuple(_curves(summary, rows)),
        notes=(
            _MEANING,
            *_words(summary),
            *meanings(summary),
            *_failures(summary),
            *failed_plugin_lines(summary.details),
            *provenance_lines(summary.details),
        ),
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
    ending = f"failed cells: {len(summary.failures)}, see below; " if summary.failures else ""
    done = f"{count_outcomes(summary):,} of {summary.planned:,} outcomes"
    yield f"INCOMPLETE: {done}; {ending}the same command {'tries them again' if ending else 'resumes'}"


def _rows(summary: RunSummary) -> Iterator[tuple[Cell, ...]]:
    images = summary.run.images
    rejecting = rejecting_defenses(summary)
    failed = {(row.defense, row.attack, row.epsilon) for row in summary.failures}
    clean = {row.defense: row for row in summary.clean}
    results = {(row.defense, row.attack, row.epsilon): row for row in summary.results}
    worst = {(row.defense, row.attack): row for row in summary.worst}

    def cell(row: CleanRow | ResultRow | None, defense: str, attack: str, epsilon: str) -> Cell:
        if (defense, attack, epsilon) in failed:
            return ("failed",)
        return _MISSING if row is None else figures_of(row, images, defense in rejecting)

    def worst_cell(defense: str, sweep: Sweep) -> Cell:
        row = worst.get((defense, sweep.attack))
        if row is None:
            return _MISSING
        cell = (f"eps {row.worst_case_epsilon}:", *figures_of(row, images, defense in rejecting))
        judged = sum((defense, sweep.attack, epsilon) in results for epsilon in sweep.epsilons)
        return cell if judged == len(sweep.epsilons) else (*cell, f"(of {judged} only)")

    yield (CLEAN,), *(cell(clean.get(name), name, CLEAN, "0") for name in summary.defenses)
    for sweep in list_sweeps(summary):
        for epsilon in _shown(sweep):
            keys = [(defense, sweep.attack, epsilon) for defense in summary.defenses]
            yield (sweep.name, f"eps {epsilon}"), *(cell(results.get(key), *key) for key in keys)
        if len(sweep.epsilons) > 1 and not sweep.per_image:  # the worst case never rises: its last row is its worst
            label = (sweep.name, f"worst of {len(sweep.epsilons)}", "epsilons")
            yield label, *(worst_cell(defense, sweep) for defense in summary.defenses)
    if summary.cards:
        yield ("verdict",), *(short_verdict(summary, defense) or _MISSING for defense in summary.defenses)


def _shown(sweep: Sweep) -> tuple[str, ...]:
    many = len(sweep.epsilons) > MOST_EPSILONS
    return pick(sweep.epsilons, _FEW if many and not sweep.per_image else MOST_EPSILONS)


def _curves(summary: RunSummary, rows: tuple[tuple[Cell, ...], ...]) -> Iterator[Curve]:
    accuracy = {(row.defense, row.attack, row.epsilon): row.accuracy for row in summary.results}
    for sweep in list_sweeps(summary):
        if len(sweep.epsilons) <= MOST_EPSILONS:
            continue
        yield Curve(
            after=max(place for place, row in enumerate(rows) if row[0][0] == sweep.name),
            label=(sweep.name, f"eps {sweep.epsilons[0]} to {sweep.epsilons[-1]}"),
            epsilons=sweep.epsilons,
            values=tuple(
                tuple(accuracy.get((defense, sweep.attack, epsilon)) for epsilon in sweep.epsilons)
                for defense in summary.defenses
            ),
        )


def figures_of(row: CleanRow | ResultRow | WorstRow, images: int, rejects: bool) -> Cell:
    """Write a row's figures: robust accuracy, its interval, the share rejected, and n where it is not all images.

    Args:
        row: Of a run.
        images: That the run asks for.
        rejects: Whether the defense may reject.
    """
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
    most = max((len(sweep.epsilons) for sweep in list_sweeps(summary)), default=0)
    if most > MOST_EPSILONS:
        yield f"not all {most} epsilons have a row here: csv and json have them"


def _failures(summary: RunSummary) -> Iterator[str]:
    # One cause usually fails a whole sweep: a line per cause, not one per epsilon.
    causes: dict[tuple[str, str, str], list[str]] = {}
    for row in summary.failures:
        causes.setdefault((row.defense, row.attack, row.reason), []).append(row.epsilon)
    for (defense, attack, reason), epsilons in causes.items():
        where = "" if attack == CLEAN else f" at eps {', '.join(epsilons)}"
        yield f"failed: {attack} on {defense}{where}: {one_line(reason)}"
