"""Queries: from rows to records, within the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select

from robench.api.records import Cell, CellCounts, ImageOutcome, Outcome, Run
from robench.errors import UsageError
from robench.storage.models import CELLS, OUTCOMES, RUN_CELLS, RUNS
from robench.storage.rows import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_LISTED_RUNS = 10


def all_runs(connection: Connection) -> tuple[Run, ...]:
    """List all runs, newest first."""
    query = select(*columns(RUNS, Run)).order_by(RUNS.c.created.desc(), RUNS.c.number.desc())
    return tuple(Run(**row) for row in connection.execute(query).mappings())


def pick_run(runs: Sequence[Run], prefix: str) -> Run:
    """Find the one run whose id begins like this.

    Raises:
        UsageError: None, or more than one, does.
    """
    found = [run for run in runs if run.id.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    candidates = found or runs
    listed = ", ".join(run.id for run in candidates[:_LISTED_RUNS])
    more = f" and {len(candidates) - _LISTED_RUNS} more" if len(candidates) > _LISTED_RUNS else ""
    message = f"{len(found) if found else 'no'} run{'s' if found else ''} in the store whose id begins with {prefix!r}"
    raise UsageError(message, f"there {'is' if len(candidates) == 1 else 'are'} {listed}{more}")


def images_of(connection: Connection, run_id: str) -> int | None:
    """Say over how many images a run goes; None where there is no such run."""
    images: int | None = connection.execute(select(RUNS.c.images).where(RUNS.c.id == run_id)).scalar_one_or_none()
    return images


def positions(connection: Connection, cell_key: str, first: int, last: int) -> set[int]:
    """Collect the positions from ``first`` to ``last``, both included, that have an outcome."""
    query = (
        select(OUTCOMES.c.position)
        .join(CELLS, CELLS.c.id == OUTCOMES.c.cell_id)
        .where(CELLS.c.key == cell_key, OUTCOMES.c.position.between(first, last))
    )
    return set(connection.execute(query).scalars())


def cell_counts(connection: Connection, run_id: str, images: int) -> tuple[CellCounts, ...]:
    """Count the outcomes at positions below ``images`` for every cell of a run, in the order of the request."""
    # Grouped by nothing but the cell: the group is compared at every outcome.
    counted = (
        select(
            RUN_CELLS.c.cell_id,
            *(func.count().filter(OUTCOMES.c.outcome == o.value).label(o.value) for o in Outcome),
        )
        .outerjoin(OUTCOMES, and_(OUTCOMES.c.cell_id == RUN_CELLS.c.cell_id, OUTCOMES.c.position < images))
        .where(RUN_CELLS.c.run_id == run_id)
        .group_by(RUN_CELLS.c.cell_id)
        .subquery()
    )
    query = (
        select(*columns(CELLS, Cell), RUN_CELLS.c.failure, *(counted.c[o.value] for o in Outcome))
        .join(RUN_CELLS, RUN_CELLS.c.cell_id == CELLS.c.id)
        .join(counted, counted.c.cell_id == CELLS.c.id)
        .where(RUN_CELLS.c.run_id == run_id)
        .order_by(RUN_CELLS.c.position)
    )
    return tuple(_cell_counts(dict(row)) for row in connection.execute(query).mappings())


def _cell_counts(row: dict[str, Any]) -> CellCounts:
    failure = row.pop("failure")
    counted = {outcome.value: row.pop(outcome.value) for outcome in Outcome}
    return CellCounts(cell=Cell(**row), n=sum(counted.values()), failure=failure, **counted)


def image_outcomes(connection: Connection, run_id: str, cell_key: str, images: int) -> tuple[ImageOutcome, ...]:
    """List the outcomes of one cell of a run at positions below ``images``, ascending."""
    query = (
        select(*columns(OUTCOMES, ImageOutcome))
        .join(CELLS, CELLS.c.id == OUTCOMES.c.cell_id)
        .join(RUN_CELLS, RUN_CELLS.c.cell_id == CELLS.c.id)
        .where(RUN_CELLS.c.run_id == run_id, CELLS.c.key == cell_key, OUTCOMES.c.position < images)
        .order_by(OUTCOMES.c.position)
    )
    return tuple(
        ImageOutcome(**{**row, "outcome": Outcome(row["outcome"])}) for row in connection.execute(query).mappings()
    )
