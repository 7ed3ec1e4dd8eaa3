"""From counted outcomes to the rows that every report shows."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

from robench.analysis.estimate import rounded_sum
from robench.analysis.intervals import wilson
from robench.api.records import (
    CLEAN,
    REJECTION,
    CellCounts,
    CleanRow,
    FailureRow,
    ResultRow,
    Run,
    RunSummary,
    WorstRow,
)
from robench.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def summarise(run: Run, counts: Sequence[CellCounts], members: Sequence[CellCounts] = ()) -> RunSummary:
    """Compute accuracies, intervals and worst cases of a run, finished or not.

    A cell without outcomes gets no row; it makes the summary incomplete, and a failure row says why if it failed.

    Args:
        run: The request.
        counts: All its cells in the order of the request, those without outcomes included.
        members: Cells of the members of its ensembles, of which only those that failed are told.

    Returns:
        Rows by defense, then attack, both in the order of ``counts``, then by epsilon, ascending.

    Raises:
        StoreError: The provenance of the run is not a JSON object.
        ValueError: The outcomes of a cell do not add up, or are more than the run's images.
    """
    for count in counts:
        _check(count, run.images)
    ordered = _ordered(counts)
    judged = [count for count in ordered if count.n > 0]
    results = tuple(_result_row(count) for count in judged if count.cell.attack != CLEAN)
    return RunSummary(
        run=run,
        # A run whose cells are not stored yet has produced nothing, which is not completeness.
        complete=bool(counts) and all(count.n == run.images for count in counts),
        planned=len(counts) * run.images,
        norm=next((count.cell.norm for count in counts if count.cell.attack != CLEAN), "none"),
        defenses=tuple(dict.fromkeys(count.cell.defense for count in counts)),
        attacks=tuple(dict.fromkeys(count.cell.attack for count in counts if count.cell.attack != CLEAN)),
        clean=tuple(_clean_row(count) for count in judged if count.cell.attack == CLEAN),
        results=results,
        # Who wants an image rejected does not try to fool: that is no worst case.
        worst=_worst_rows(tuple(row for row in results if row.attack != REJECTION)),
        failures=tuple(_failure_row(count) for count in (*ordered, *members) if count.failure),
        details=parse_details(run),
    )


def _check(count: CellCounts, images: int) -> None:
    parts = (count.correct, count.wrong, count.rejected)
    if sum(parts) != count.n or min(parts) < 0 or count.n > images:
        message = (
            f"cell {count.cell.key}: {count.correct} correct, {count.wrong} wrong and {count.rejected} rejected "
            f"are not {count.n} outcomes of {images} images"
        )
        raise ValueError(message)
    # Not all three at once: sums of many shares are rounded.
    if not 0 <= count.fooled <= count.n or not 0 <= count.rejected_share <= count.n:
        message = (
            f"cell {count.cell.key}: shares of {count.fooled} wrong and {count.rejected_share} rejected draws "
            f"are not those of {count.n} outcomes"
        )
        raise ValueError(message)


def _ordered(counts: Sequence[CellCounts]) -> list[CellCounts]:
    defenses = _places([count.cell.defense for count in counts])
    attacks = _places([count.cell.attack for count in counts])
    return sorted(
        counts,
        key=lambda count: (
            defenses[count.cell.defense],
            attacks[count.cell.attack],
            Decimal(count.cell.epsilon),  # as text, 0.05 and 0.1 sort well, but 0.5 and 1e-1 do not
        ),
    )


def _places(names: list[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def withstood(count: CellCounts) -> float:
    """Sum over the images of a cell the share of their draws that were correct or rejected."""
    return rounded_sum(count.n - count.fooled)


def _clean_row(count: CellCounts) -> CleanRow:
    correct = rounded_sum(max(0.0, count.n - count.fooled - count.rejected_share))
    low, high = wilson(correct, count.n)
    return CleanRow(
        defense=count.cell.defense,
        n=count.n,
        accuracy=correct / count.n,
        accuracy_low=low,
        accuracy_high=high,
        correct=count.correct,
        wrong=count.wrong,
        rejected=count.rejected,
    )


def _result_row(count: CellCounts) -> ResultRow:
    robust = withstood(count)
    low, high = wilson(robust, count.n)
    return ResultRow(
        defense=count.cell.defense,
        attack=count.cell.attack,
        knowledge=count.cell.knowledge,
        norm=count.cell.norm,
        epsilon=count.cell.epsilon,
        n=count.n,
        accuracy=robust / count.n,
        accuracy_low=low,
        accuracy_high=high,
        correct=count.correct,
        wrong=count.wrong,
        rejected=count.rejected,
    )


def _worst_rows(results: tuple[ResultRow, ...]) -> tuple[WorstRow, ...]:
    # Rows of one sweep are neighbours with epsilons ascending, and `min` keeps the first of several that tie.
    sweeps = groupby(results, key=lambda row: (row.defense, row.attack))
    return tuple(_worst_row(min(sweep, key=lambda row: row.accuracy)) for _, sweep in sweeps)


def _worst_row(row: ResultRow) -> WorstRow:
    return WorstRow(
        defense=row.defense,
        attack=row.attack,
        knowledge=row.knowledge,
        norm=row.norm,
        worst_case_epsilon=row.epsilon,
        n=row.n,
        accuracy=row.accuracy,
        accuracy_low=row.accuracy_low,
        accuracy_high=row.accuracy_high,
        rejected=row.rejected,
    )


def _failure_row(count: CellCounts) -> FailureRow:
    cell = count.cell
    return FailureRow(defense=cell.defense, attack=cell.attack, epsilon=cell.epsilon, reason=count.failure)


def parse_details(run: Run) -> Mapping[str, object]:
    """Return the provenance of a run.

    Raises:
        StoreError: It is not a JSON object.
    """
    problem = f"run {run.id}: its provenance is not a JSON object"
    hint = "the store was altered; run the same command on a new one"
    try:
        # Not-a-number and infinity are no JSON: as text they stay visible and do not spoil a report's JSON.
        details = json.loads(run.details, parse_constant=str)
    except json.JSONDecodeError as error:
        raise StoreError(problem, hint) from error
    if not isinstance(details, dict):
        raise StoreError(problem, hint)
    return details
