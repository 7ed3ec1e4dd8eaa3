"""What ``robench doctor`` says about a store."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from robench.storage import connection as connections
from robench.storage import schema
from robench.storage.models import OUTCOMES, RUNS

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from robench.storage.location import Location


@dataclass(frozen=True, kw_only=True)
class StoreInfo:
    """Facts about a store.

    Attributes:
        location: As it was given, without password.
        dialect: ``sqlite`` or ``postgresql``.
        sqlite_version: Of the SQLite library; empty for a server.
        journal_mode: ``wal`` or ``delete``; empty for a server.
        schema_revision: Of the tables.
        size_bytes: Of the database file; 0 for a server.
        runs, outcomes: How many there are.
    """

    location: str
    dialect: str
    sqlite_version: str
    journal_mode: str
    schema_revision: str
    size_bytes: int
    runs: int
    outcomes: int


def gather(engine: Engine, location: Location) -> StoreInfo:
    """Gather the facts about a store that has its tables."""
    on_sqlite = location.path is not None
    journal = connections.journal_mode(engine) if on_sqlite else ""
    with connections.reading(engine) as connection:
        return StoreInfo(
            location=str(location),
            dialect=engine.dialect.name,
            sqlite_version=sqlite3.sqlite_version if on_sqlite else "",
            journal_mode=journal,
            schema_revision=schema.read_revision(connection, location) or "none",
            size_bytes=location.path.stat().st_size if location.path else 0,
            runs=connection.execute(select(func.count()).select_from(RUNS)).scalar_one(),
            outcomes=connection.execute(select(func.count()).select_from(OUTCOMES)).scalar_one(),
        )
