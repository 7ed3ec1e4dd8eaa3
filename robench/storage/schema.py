"""Creates the tables, upgrades them, and recognises whose they are."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from sqlalchemy import func, inspect, select, text

from robench.errors import StoreError
from robench.storage import connection as connections
from robench.storage import seals
from robench.storage.location import ANOTHER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from robench.storage.location import Location

MIGRATIONS = Path(__file__).with_name("migrations")
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Schema revisions, oldest first. Kept here because importing Alembic only to ask takes longer than most commands."""

_MIGRATION_LOCK = int.from_bytes(b"robench", "big")


def read_revision(connection: Connection, location: Location) -> str | None:
    """Say which schema a database has; None where it is empty.

    Raises:
        StoreError: The tables are somebody else's.
    """
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    if not {"alembic_version", "run_cells", "outcomes"} <= tables:
        message = f"{location} is a database of another program (tables: {', '.join(sorted(tables)[:5])})"
        raise StoreError(message, ANOTHER)
    return "+".join(connection.execute(text("SELECT version_num FROM alembic_version")).scalars()) or "none"


def known_revision(engine: Engine, location: Location) -> str | None:
    """Say which of ``REVISIONS`` a database has; None where it is empty or not there yet.

    Raises:
        StoreError: The tables are somebody else's, or of a schema that this robench does not know.
    """
    if location.is_blank():
        return None
    with connections.reading(engine) as connection:
        revision = read_revision(connection, location)
    if revision is not None and revision not in REVISIONS:
        newest = REVISIONS[-1]
        message = f"{location} was written by a newer robench (schema {revision}; this one knows up to {newest})"
        raise StoreError(message, f"upgrade robench, or {ANOTHER}")
    return revision


def require(engine: Engine, location: Location) -> None:
    """Refuse to go on where there is no store of the newest schema.

    Raises:
        StoreError: There is none, it has an older schema, or ``known_revision`` refuses it.
    """
    revision, newest = known_revision(engine, location), REVISIONS[-1]
    if revision is None:
        message = f"no result store at {location}"
        raise StoreError(message, f"robench run creates it, or {ANOTHER}")
    if revision != newest:
        message = f"{location} was written by an older robench (schema {revision}; this one needs {newest})"
        raise StoreError(message, f"robench db upgrade brings it up to date, or {ANOTHER}")


def ensure(engine: Engine, location: Location) -> None:
    """Create the file and its tables where there are none, upgrade an older schema, and make its journal safe.

    Raises:
        StoreError: ``known_revision`` refuses it, or another process keeps it locked.
    """
    if known_revision(engine, location) != REVISIONS[-1]:
        with _alone(location):
            # Another process may have been first while this one waited.
            revision = known_revision(engine, location)
            if revision is None:
                _create(engine, location)
            elif revision != REVISIONS[-1]:
                _upgrade(engine, location, revision)
    _leave_unsafe_wal(engine, location)


def _create(engine: Engine, location: Location) -> None:
    if location.path is not None:
        location.path.touch()
        if connections.wal_is_safe(sqlite3.sqlite_version_info):
            connections.journal_mode(engine, "wal")
    with connections.writing(engine) as connection:
        migrate(connection)


def _upgrade(engine: Engine, location: Location, revision: str) -> None:
    with connections.writing(engine) as connection:
        if location.path is not None:
            # Nobody can write any more, so the copy is just what is upgraded.
            connections.back_up(location.path, copy_of(location.path, revision))
        migrate(connection)
        seals.seal_unsealed(connection)


def copy_of(path: Path, revision: str) -> Path:
    """Return where the copy is that is made before an upgrade from a revision."""
    return path.with_name(f"{path.name}.schema-{revision}.bak")


def migrate(connection: Connection) -> None:
    """Bring the schema to the newest revision within the caller's transaction: all of it or nothing.

    Args:
        connection: In a transaction begun by ``writing``.
    """
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        # Instead of a lock file: whoever comes second finds the work done.
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")


@contextmanager
def _alone(location: Location) -> Iterator[None]:
    """Let one process at a time create, upgrade or convert the file.

    The empty lock file stays: removing it would let one process hold the lock on the removed file while another
    creates and holds a new one.
    """
    if location.path is None:
        yield  # a server has no first moment of existence: its database is there, and `migrate` takes turns
        return
    try:
        with FileLock(f"{location.path}.lock", timeout=connections.BUSY_SECONDS):
            yield
    except Timeout as error:
        message = f"{location}: another process has been creating or upgrading it for {connections.BUSY_SECONDS:.0f} s"
        raise StoreError(message, f"end that process, or {ANOTHER}") from error


def _leave_unsafe_wal(engine: Engine, location: Location) -> None:
    # A newer SQLite on the same machine (another environment) may have created the file in WAL mode.
    if location.path is None or connections.wal_is_safe(sqlite3.sqlite_version_info):
        return
    if connections.journal_mode(engine) == "wal":
        with _alone(location):
            connections.journal_mode(engine, "delete")
