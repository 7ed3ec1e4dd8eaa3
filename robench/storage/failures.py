"""Turns what a database or file system reports into an error that names the store and the mend."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from robench.errors import RobenchError, StoreError, UsageError
from robench.storage.location import ANOTHER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from robench.storage.location import Location

_DAMAGED = {
    sqlite3.SQLITE_NOTADB: ("is not a SQLite file", ANOTHER),
    sqlite3.SQLITE_CORRUPT: ("is damaged or truncated", f"restore it from a backup, or {ANOTHER}"),
}
_MENDABLE = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space"),
    # SQLite reports a quota or a file size limit as an input/output error.
    sqlite3.SQLITE_IOERR: ("the disk refused to read or write", "check the disk, its quota and the file size limit"),
    sqlite3.SQLITE_BUSY: ("another process kept it locked", "wait until that process is done"),
    sqlite3.SQLITE_CANTOPEN: ("it or its journal cannot be opened", "check the permissions of the file and its folder"),
    sqlite3.SQLITE_READONLY: ("it may not be written", "check the permissions of the file and its folder"),
    sqlite3.SQLITE_PERM: ("it may not be opened", "check the permissions of the file and its folder"),
}
# A flipped byte in text, or in the definition of a table whose revision says that it has the column.
_DAMAGE_WITHOUT_CODE = ("Could not decode to UTF-8", "no such column", "no such table")
_INSUFFICIENT_PRIVILEGE = "42501"


@contextmanager
def explained(location: Location, mendable: type[RobenchError] = StoreError) -> Iterator[None]:
    """Explain failures that a user can mend; defects of ours pass through.

    Args:
        location: Named in the message.
        mendable: Raised for what passes once it is mended, such as a full disk: ``IncompleteError`` while a run is
            under way, because the same command then resumes.

    Raises:
        StoreError: It is no store, damaged, or not accessible.
        IncompleteError: As asked for by ``mendable``.
        UsageError: The driver of a server is not installed.
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        explanation = _explain(error, location, mendable)
        if explanation is None:
            raise
        raise explanation from error
    except UnicodeDecodeError as error:  # SQLite quotes a damaged definition in what it reports
        raise _damaged(location, sqlite3.SQLITE_CORRUPT) from error
    except ImportError as error:  # psycopg raises it bare where it finds no libpq
        message = f"{location}: the driver for PostgreSQL is not installed ({error})"
        raise UsageError(message, 'pip install "robench[postgres]"') from error
    except OSError as error:
        message = f"{location}: {error.strerror or error}"
        raise StoreError(message, f"check the path and its permissions, or {ANOTHER}") from error


def _explain(
    error: DBAPIError | sqlite3.Error, location: Location, mendable: type[RobenchError]
) -> RobenchError | None:
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        return _explain_file(original, location, mendable)
    reason = str(original).strip().partition("\n")[0]
    if getattr(original, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE:
        return StoreError(f"{location}: {reason}", "ask its owner for the right to read and write there")
    if isinstance(error, OperationalError | InterfaceError):
        return mendable(f"{location}: {reason}", "check that the server runs and that the URL is right")
    return None


def _explain_file(error: sqlite3.Error, location: Location, mendable: type[RobenchError]) -> RobenchError | None:
    # What the sqlite3 module itself refuses, such as a closed connection, carries no code and is a defect of ours.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGED:
        return _damaged(location, code)
    if code in _MENDABLE:
        what, mend = _MENDABLE[code]
        again = f"{mend}, or {ANOTHER}" if mendable is StoreError else f"{mend}, then repeat the command"
        return mendable(f"{location}: {what} ({error})", again)
    if str(error).startswith(_DAMAGE_WITHOUT_CODE):
        return _damaged(location, sqlite3.SQLITE_CORRUPT)
    return None


def _damaged(location: Location, code: int) -> StoreError:
    what, mend = _DAMAGED[code]
    return StoreError(f"{location} {what}", mend)
