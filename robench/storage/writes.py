"""Changes: from records to rows, within the caller's transaction."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects import sqlite

from robench.storage import reads, seals
from robench.storage.models import CARDS, CELLS, FINDINGS, OUTCOMES, RUN_CELLS, RUNS, SHARDS
from robench.storage.rows import outcome_values, shard_sha256, values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Table

    from robench.api.records import Card, Cell, Finding, Run, RunStatus, Shard


def add_request(connection: Connection, run: Run) -> None:
    """Insert a run if it is new."""
    insert_new(connection, RUNS, [values(run)])


def add_run(connection: Connection, run: Run, cells: Sequence[Cell], members: Sequence[Cell]) -> None:
    """Insert the cells of a run that are new, set the run to ``running``, and forget its failures."""
    set_status(connection, run.id, "running")
    add_cells(connection, (*cells, *members))
    listed = [(cell.key, "cell", "") for cell in cells] + [(cell.key, "member", "") for cell in members]
    list_cells(connection, run.id, listed)
    seals.seal(connection, run.id, seals.REQUEST)


def add_cells(connection: Connection, cells: Sequence[Cell]) -> None:
    """Insert the cells that are new."""
    if cells:
        # In order of their keys: two writers that insert the same ones crosswise would wait for each other for ever.
        insert_new(connection, CELLS, [values(cell) for cell in sorted(cells, key=attrgetter("key"))])


def list_cells(connection: Connection, run_id: str, listed: Sequence[tuple[str, str, str]]) -> None:
    """Say which cells a run asks for, in place of what it asked for, each with its key, role and failure."""
    connection.execute(delete(RUN_CELLS).where(RUN_CELLS.c.run_id == run_id))
    if listed:
        cell_id = select(CELLS.c.id).where(CELLS.c.key == bindparam("cell_key")).scalar_subquery()
        connection.execute(
            insert(RUN_CELLS).values(run_id=run_id, cell_id=cell_id),
            [
                {"cell_key": key, "role": role, "failure": failure, "position": position}
                for position, (key, role, failure) in enumerate(listed)
            ],
        )
    seals.seal(connection, run_id, seals.CELLS_PART)


def insert_new(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows whose keys are new."""
    if connection.dialect.name == "sqlite":
        connection.execute(sqlite.insert(table).on_conflict_do_nothing(), rows)
    else:
        from sqlalchemy.dialects import postgresql

        connection.execute(postgresql.insert(table).on_conflict_do_nothing(), rows)


def set_status(connection: Connection, run_id: str, status: RunStatus) -> bool:
    """Set the status of a run; False where there is no such run."""
    found = connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(status=status)).rowcount > 0
    if found:
        seals.seal(connection, run_id, seals.STATUS)
    return found


def fail_cell(connection: Connection, run_id: str, cell_key: str, reason: str) -> bool:
    """Record why a cell of a run failed; False where the run does not ask for it."""
    seals.lock(connection, run_id)
    cell_id = select(CELLS.c.id).where(CELLS.c.key == cell_key).scalar_subquery()
    cell = update(RUN_CELLS).where(RUN_CELLS.c.run_id == run_id, RUN_CELLS.c.cell_id == cell_id)
    found = connection.execute(cell.values(failure=reason)).rowcount > 0
    if found:
        seals.seal(connection, run_id, seals.CELLS_PART)
    return found


def add_shard(connection: Connection, cell_key: str, shard: Shard, created: str = "") -> bool:
    """Insert the outcomes that are new, and their digest; False where there is no such cell.

    Args:
        connection: In a transaction.
        cell_key: Key of the cell.
        shard: What to insert.
        created: When it was, UTC, ISO 8601; empty for now.
    """
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
    details = {
        "sha256": shard_sha256(cell_key, new),
        "seconds": shard.seconds,
        "queries": shard.queries,
        "environment": shard.environment,
        "created": created or datetime.now(UTC).isoformat(),
    }
    row = insert(SHARDS).values(cell_id=cell_id, details_sha256=seals.shard_details_sha256(details), **details)
    shard_id = connection.execute(row.returning(SHARDS.c.id)).scalar_one()
    connection.execute(insert(OUTCOMES), [outcome_values(outcome, cell_id, shard_id) for outcome in new])
    return True


def add_findings(connection: Connection, run_id: str, defense: str, findings: Sequence[Finding]) -> None:
    """Put these findings in the place of those that a run has about a defense."""
    seals.lock(connection, run_id)
    connection.execute(delete(FINDINGS).where(FINDINGS.c.run_id == run_id, FINDINGS.c.defense == defense))
    if findings:
        connection.execute(
            insert(FINDINGS).values(run_id=run_id, defense=defense),
            [{**values(finding), "position": position} for position, finding in enumerate(findings)],
        )
    seals.seal_findings(connection, run_id, defense)


def add_card(connection: Connection, run_id: str, card: Card) -> None:
    """Insert a card beside its older versions."""
    seals.lock(connection, run_id)
    document = {"lines": card.lines, "metrics": [asdict(metric) for metric in card.metrics]}
    row = insert(CARDS).values(
        run_id=run_id,
        defense=card.defense,
        created=card.created,
        verdict=card.verdict,
        document=json.dumps(document, ensure_ascii=False, allow_nan=False),
    )
    number = connection.execute(row.returning(CARDS.c.number)).scalar_one()
    seals.seal_card(connection, run_id, number)
