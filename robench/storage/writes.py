"""Changes: from records to rows, within the caller's transaction."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects import sqlite

from robench.storage import reads
from robench.storage.models import CARDS, CELLS, FINDINGS, OUTCOMES, RUN_CELLS, RUNS, SHARDS
from robench.storage.rows import outcome_values, shard_sha256, values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Table

    from robench.api.records import Card, Cell, Finding, Run, RunStatus, Shard


def add_run(connection: Connection, run: Run, cells: Sequence[Cell], members: Sequence[Cell]) -> None:
    """Insert a run and the cells that are new, set the run to ``running``, and forget its failures."""
    _insert_new(connection, RUNS, [values(run)])
    set_status(connection, run.id, "running")
    # The list is replaced as a whole, which clears the failures with it.
    connection.execute(delete(RUN_CELLS).where(RUN_CELLS.c.run_id == run.id))
    listed = [("cell", cell) for cell in cells] + [("member", cell) for cell in members]
    if listed:
        # In order of their keys, as below: two processes that insert the same ones crosswise would block each other.
        new = sorted((cell for _, cell in listed), key=attrgetter("key"))
        _insert_new(connection, CELLS, [values(cell) for cell in new])
        cell_id = select(CELLS.c.id).where(CELLS.c.key == bindparam("cell_key")).scalar_subquery()
        connection.execute(
            insert(RUN_CELLS).values(run_id=run.id, cell_id=cell_id, failure=""),
            [
                {"cell_key": cell.key, "role": role, "position": position}
                for position, (role, cell) in enumerate(listed)
            ],
        )


def _insert_new(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(sqlite.insert(table).on_conflict_do_nothing(), rows)
    else:
        from sqlalchemy.dialects import postgresql

        connection.execute(postgresql.insert(table).on_conflict_do_nothing(), rows)


def set_status(connection: Connection, run_id: str, status: RunStatus) -> bool:
    """Set the status of a run; False where there is no such run."""
    return connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(status=status)).rowcount > 0


def fail_cell(connection: Connection, run_id: str, cell_key: str, reason: str) -> bool:
    """Record why a cell of a run failed; False where the run does not ask for it."""
    cell_id = select(CELLS.c.id).where(CELLS.c.key == cell_key).scalar_subquery()
    cell = update(RUN_CELLS).where(RUN_CELLS.c.run_id == run_id, RUN_CELLS.c.cell_id == cell_id)
    return connection.execute(cell.values(failure=reason)).rowcount > 0


def add_shard(connection: Connection, cell_key: str, shard: Shard) -> bool:
    """Insert the outcomes that are new, and their digest; False where there is no such cell."""
    # Locks the cell on PostgreSQL, so that two writers of one shard queue there as they do on SQLite. Rows that refer
    # to the cell may still be added meanwhile, in whatever order.
    cell = select(CELLS.c.id).where(CELLS.c.key == cell_key).with_for_update(key_share=True)
    cell_id = connection.execute(cell).scalar_one_or_none()
    if cell_id is None:
        return False
    wanted = [outcome.position for outcome in shard.outcomes]
    stored = reads.positions(connection, cell_key, min(wanted, default=0), max(wanted, default=-1))
    new = [outcome for outcome in shard.outcomes if outcome.position not in stored]
    if not new:
        return True
    row = insert(SHARDS).values(
        cell_id=cell_id,
        sha256=shard_sha256(cell_key, new),
        seconds=shard.seconds,
        queries=shard.queries,
        environment=shard.environment,
        created=datetime.now(UTC).isoformat(),
    )
    shard_id = connection.execute(row.returning(SHARDS.c.id)).scalar_one()
    connection.execute(insert(OUTCOMES), [outcome_values(outcome, cell_id, shard_id) for outcome in new])
    return True


def add_findings(connection: Connection, run_id: str, defense: str, findings: Sequence[Finding]) -> None:
    """Put these findings in the place of those that a run has about a defense."""
    connection.execute(delete(FINDINGS).where(FINDINGS.c.run_id == run_id, FINDINGS.c.defense == defense))
    if findings:
        connection.execute(
            insert(FINDINGS).values(run_id=run_id, defense=defense),
            [{**values(finding), "position": position} for position, finding in enumerate(findings)],
        )


def add_card(connection: Connection, run_id: str, card: Card) -> None:
    """Insert a card beside its older versions."""
    connection.execute(
        insert(CARDS).values(
            run_id=run_id,
            defense=card.defense,
            created=card.created,
            verdict=card.verdict,
            document=json.dumps(
                {"lines": card.lines, "metrics": [asdict(metric) for metric in card.metrics]},
                ensure_ascii=False,
                allow_nan=False,
            ),
        )
    )
