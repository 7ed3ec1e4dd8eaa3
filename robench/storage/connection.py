"""Engine, transactions and the settings that keep SQLite safe."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import create_engine, event

from robench.errors import RobenchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection

    from robench.storage.location import Location

BUSY_SECONDS = 30.0

_UNWRITABLE = {
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR_WRITE),
    *(sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC, sqlite3.SQLITE_IOERR_TRUNCATE),
}
"""What speaks of the copy where one file is only read and another only written."""


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Whether a SQLite library is free of the WAL-reset bug, which can lose committed transactions.

    Args:
        version: As ``sqlite3.sqlite_version_info``.

    Source: https://sqlite.org/wal.html, "The WAL-reset bug": fixed in 3.51.3, and in 3.50.7 and 3.44.6.
    """
    fixed_branches = {(3, 50): 7, (3, 44): 6}
    branch = version[:2]
    return version >= (3, 51, 3) or (branch in fixed_branches and version[2] >= fixed_branches[branch])


def connect(location: Location) -> Engine:
    """Make an engine; nothing is opened yet.

    Raises:
        ImportError: The driver of a server is not installed.
    """
    path = location.path
    if path is None:
        # A server may have been restarted while images were attacked for minutes.
        server = create_engine(location.url, pool_pre_ping=True, connect_args={"connect_timeout": int(BUSY_SECONDS)})
        event.listen(server, "connect", _limit_waiting)
        return server
    engine = create_engine(location.url, creator=lambda: _open_file(path))
    event.listen(engine, "begin", _begin)
    event.listen(engine, "invalidate", _roll_back)
    return engine


def _limit_waiting(connection: DBAPIConnection, _: object) -> None:
    # As on SQLite, nobody waits for a lock for ever; and who is stopped in a transaction loses it, not all others.
    milliseconds = int(1000 * BUSY_SECONDS)
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = {milliseconds}")
    cursor.execute(f"SET idle_in_transaction_session_timeout = {2 * milliseconds}")
    cursor.close()
    connection.commit()


def _open_file(path: Path) -> sqlite3.Connection:
    # mode=rw: only `schema` makes files. Without it a file deleted during a run would come back empty.
    # isolation_level=None: the driver would begin transactions too late and commit before schema changes; we begin.
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later can fail with "database is locked" whatever the timeout, because
    # SQLite cannot let two of them upgrade. Taking the write lock at once makes writers queue instead.
    writes = connection.get_execution_options().get("robench_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _roll_back(connection: sqlite3.Connection, *_: object) -> None:
    # After Ctrl-C SQLAlchemy closes the connection without rolling back, and SQLite keeps a closed connection with its
    # locks for as long as a traceback holds a cursor: whoever then records the interruption would wait 30 s in vain.
    connection.rollback()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent view of the database."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":  # where each statement would see what was committed before it
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction: committed at the end, rolled back by any exception, Ctrl-C included."""
    with engine.connect().execution_options(robench_writes=True) as connection, connection.begin():
        yield connection


def back_up(path: Path, copy: Path) -> None:
    """Copy a SQLite file as the last commit left it, though it be in use; the copy is there whole or not at all.

    Args:
        path: What to copy.
        copy: Where to; what is there is replaced.

    Raises:
        sqlite3.Error: The file cannot be read or is damaged.
        RobenchError: The copy cannot be written.
        OSError: The file system refuses the name.
    """
    unfinished = copy.with_name(f"{copy.name}.part")
    try:
        unfinished.unlink(missing_ok=True)
        with closing(_open_file(path)) as source, closing(sqlite3.connect(unfinished)) as target:
            _copy(source, target, copy)
            _require_integrity(target)
        unfinished.replace(copy)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, copy: Path) -> None:
    try:
        source.backup(target)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) not in _UNWRITABLE:
            raise
        message = f"cannot write {copy}: {error}"
        raise RobenchError(message, "name a file on another disk or in another folder") from error


def _require_integrity(database: sqlite3.Connection) -> None:
    (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        error = sqlite3.DatabaseError(found)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def journal_mode(engine: Engine, change_to: str = "") -> str:
    """Say, or change, how a SQLite file keeps its journal; changing needs the file for itself.

    Args:
        engine: Of a SQLite file.
        change_to: ``wal``, ``delete``, or empty to leave it.

    Raises:
        sqlite3.OperationalError: Another process uses the file.
    """
    pragma = f"PRAGMA journal_mode = {change_to}" if change_to else "PRAGMA journal_mode"
    raw = engine.raw_connection()  # outside of any transaction, where alone the mode can change
    try:
        cursor = raw.cursor()
        cursor.execute(pragma)
        (row,) = cursor.fetchall()
        cursor.close()
    finally:
        raw.close()
    return str(row[0])
