"""Queries: from rows to records, within the caller's transaction."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import BigInteger, Double, and_, cast, func, not_, or_, select

from robench.api.records import (
    CLEAN,
    COMPOSITES,
    Card,
    Cell,
    CellCounts,
    Finding,
    ImageOutcome,
    Metric,
    Outcome,
    Run,
    Win,
)
from robench.errors import UsageError
from robench.storage.models import CARDS, CELLS, FINDINGS, OUTCOMES, RUN_CELLS, RUNS, SHARDS
from robench.storage.rows import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection

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


def cell_counts(
    connection: Connection, run_id: str, images: int, role: Literal["cell", "member"]
) -> tuple[CellCounts, ...]:
    """Count the outcomes at positions below ``images`` for every cell of a run in that role, in their order."""
    wanted = and_(RUN_CELLS.c.run_id == run_id, RUN_CELLS.c.role == role)
    mine = OUTCOMES.c.cell_id == RUN_CELLS.c.cell_id
    # Grouped by nothing but the cell: the group is compared at every outcome.
    counted = (
        select(
            RUN_CELLS.c.cell_id,
            *(func.count().filter(OUTCOMES.c.outcome == o.value).label(o.value) for o in Outcome),
            func.coalesce(func.sum(_share(OUTCOMES.c.draws_wrong)), 0.0).label("fooled"),
            func.coalesce(func.sum(_share(OUTCOMES.c.draws_rejected)), 0.0).label("rejected_share"),
        )
        .outerjoin(OUTCOMES, and_(mine, OUTCOMES.c.position < images))
        .where(wanted)
        .group_by(RUN_CELLS.c.cell_id)
        .subquery()
    )
    beyond = select(func.count()).where(mine, OUTCOMES.c.position >= images).correlate(RUN_CELLS).scalar_subquery()
    spent = (
        select(
            RUN_CELLS.c.cell_id,
            func.coalesce(func.sum(SHARDS.c.seconds), 0.0).label("seconds"),
            # PostgreSQL adds whole numbers up to a decimal.
            cast(func.coalesce(func.sum(SHARDS.c.queries), 0), BigInteger).label("queries"),
        )
        .outerjoin(SHARDS, SHARDS.c.cell_id == RUN_CELLS.c.cell_id)
        .where(wanted)
        .group_by(RUN_CELLS.c.cell_id)
        .subquery()
    )
    sums = [column for part in (counted, spent) for column in part.c if column.name != "cell_id"]
    query = (
        select(*columns(CELLS, Cell), RUN_CELLS.c.failure, beyond.label("beyond"), *sums)
        .join(RUN_CELLS, RUN_CELLS.c.cell_id == CELLS.c.id)
        .join(counted, counted.c.cell_id == CELLS.c.id)
        .join(spent, spent.c.cell_id == CELLS.c.id)
        .where(wanted)
        .order_by(RUN_CELLS.c.position)
    )
    return tuple(_cell_counts(dict(row)) for row in connection.execute(query).mappings())


def _share(draws: ColumnElement[int]) -> ColumnElement[Any]:
    return cast(draws, Double) / OUTCOMES.c.draws


def _cell_counts(row: dict[str, Any]) -> CellCounts:
    cell = Cell(**{column.name: row.pop(column.name) for column in columns(CELLS, Cell)})
    beyond, seconds, queries = (row.pop(name) for name in ("beyond", "seconds", "queries"))
    n = sum(row[outcome.value] for outcome in Outcome)
    stored = n + beyond
    if beyond:  # other runs have asked for more images
        seconds, queries = seconds * n / stored, (2 * queries * n + stored) // (2 * stored)
    return CellCounts(cell=cell, n=n, seconds=seconds, queries=queries, **row)


def image_outcomes(connection: Connection, run_id: str, cell_key: str, images: int) -> tuple[ImageOutcome, ...]:
    """List the outcomes of one cell of a run at positions below ``images``, ascending."""
    query = (
        select(*columns(OUTCOMES, ImageOutcome))
        .join(CELLS, CELLS.c.id == OUTCOMES.c.cell_id)
        .join(RUN_CELLS, RUN_CELLS.c.cell_id == CELLS.c.id)
        .where(RUN_CELLS.c.run_id == run_id, CELLS.c.key == cell_key, OUTCOMES.c.position < images)
        .order_by(OUTCOMES.c.position)
    )
    # Not as ``mappings``, which look every name up in every row: a report reads hundreds of thousands.
    names = [column.name for column in query.selected_columns]
    found = (dict(zip(names, row, strict=True)) for row in connection.execute(query))
    return tuple(ImageOutcome(**{**values, "outcome": Outcome(values["outcome"])}) for values in found)


def lowest_wins(connection: Connection, subject: str, norm: str, run_id: str | None = None) -> tuple[Win, ...]:
    """Find for each image of a subject the smallest epsilon of a norm with a win that counts, by image.

    All cells count, or those of one run.
    """
    ours = () if run_id is None else (CELLS.c.id.in_(select(RUN_CELLS.c.cell_id).where(RUN_CELLS.c.run_id == run_id)),)
    # Cells are ranked once, so that outcomes are compared by one whole number each. Of several that won at the same
    # epsilon, the attack itself is named before the ensemble it belongs to.
    # Ties are decided by the bytes of names: a server may collate them otherwise, and would name another attack.
    attack = CELLS.c.attack if connection.dialect.name == "sqlite" else CELLS.c.attack.collate("C")
    ranked = (
        select(
            CELLS.c.id,
            CELLS.c.epsilon,
            CELLS.c.attack,
            CELLS.c.stochastic,
            func.row_number()
            .over(order_by=(cast(CELLS.c.epsilon, Double), CELLS.c.attack.in_(COMPOSITES), attack, CELLS.c.key))
            .label("place"),
        )
        .where(
            CELLS.c.subject == subject,
            or_(CELLS.c.norm == norm, CELLS.c.attack == CLEAN),  # a clean image is in every ball
            not_(and_(CELLS.c.stochastic, CELLS.c.member)),
            *ours,
        )
        .cte("ranked")
    )
    best = (
        select(OUTCOMES.c.image, func.min(ranked.c.place).label("place"))
        .join(ranked, ranked.c.id == OUTCOMES.c.cell_id)
        .where(OUTCOMES.c.outcome == Outcome.WRONG.value, or_(not_(ranked.c.stochastic), OUTCOMES.c.draws > 1))
        .group_by(OUTCOMES.c.image)
        .subquery()
    )
    query = (
        select(best.c.image, ranked.c.epsilon, ranked.c.attack)
        .join(ranked, ranked.c.place == best.c.place)
        .order_by(best.c.image)
    )
    return tuple(Win(**row) for row in connection.execute(query).mappings())


def findings(connection: Connection, run_id: str) -> dict[str, tuple[Finding, ...]]:
    """Collect the findings of a run by defense, each in their order."""
    query = (
        select(FINDINGS.c.defense, *columns(FINDINGS, Finding))
        .where(FINDINGS.c.run_id == run_id)
        .order_by(FINDINGS.c.defense, FINDINGS.c.position)
    )
    found: dict[str, tuple[Finding, ...]] = {}
    for row in connection.execute(query).mappings():
        fields = dict(row)
        defense = fields.pop("defense")
        found[defense] = (*found.get(defense, ()), Finding(**fields))
    return found


def cards(connection: Connection, run_id: str) -> dict[str, Card]:
    """Collect the newest card of a run for each defense."""
    return {card.defense: card for card in sorted(all_cards(connection, run_id), key=attrgetter("created"))}


def all_cards(connection: Connection, run_id: str) -> tuple[Card, ...]:
    """List all versions of all cards of a run, in the order in which they were stored."""
    query = (
        select(CARDS.c.defense, CARDS.c.created, CARDS.c.verdict, CARDS.c.document)
        .where(CARDS.c.run_id == run_id)
        .order_by(CARDS.c.number)
    )
    return tuple(
        Card(
            defense=defense,
            created=created,
            verdict=verdict,
            lines=tuple((name, text) for name, text in content["lines"]),
            metrics=tuple(Metric(**metric) for metric in content.get("metrics", [])),
        )
        for defense, created, verdict, document in connection.execute(query)
        for content in [json.loads(document)]
    )
