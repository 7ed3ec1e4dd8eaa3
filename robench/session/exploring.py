"""A store in a browser: Datasette over a connection that cannot write, for this machine only.

Source: https://docs.datasette.io/en/stable/metadata.html and
https://docs.datasette.io/en/stable/internals.html.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from robench.errors import UsageError
from robench.storage.guide import QUESTIONS, TABLES
from robench.storage.location import Location
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HOST = "127.0.0.1"
NAME = "robench"
"""Of the database, in addresses."""

_LAST_PORT = 65_535
_NAMES = (HOST, "localhost")
_PATIENCE_SECONDS = 1
"""For answers under way when it is stopped; the program has four seconds."""
_SETTINGS = {
    "allow_download": False,  # robench db backup copies what a run is writing to; this would not
    "default_cache_ttl": 0,  # a run may be filling the store
    "max_returned_rows": 10_000,
    "sql_time_limit_ms": 5_000,  # counting a million outcomes takes a third of a second
}


def explore(db: str, port: int | None, announce: Callable[[str], None]) -> None:
    """Show a store in a browser until the process is told to stop.

    Args:
        db: Path of the store.
        port: To listen on; a free one where there is none.
        announce: Called with the address once it can be opened.

    Raises:
        UsageError: The port cannot be used, the store is on a server, or Datasette is not installed.
        StoreError: There is no such store.
    """
    app = _local_only(build_datasette(db).app())
    import uvicorn

    with _listen(port) as listener:
        announce(f"http://{HOST}:{listener.getsockname()[1]}/{NAME}")
        settings = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_PATIENCE_SECONDS)
        uvicorn.Server(settings).run(sockets=[listener])


def build_datasette(db: str) -> Any:  # noqa: ANN401 - Datasette has no types
    """Return a Datasette that knows the store, its tables and the questions most often asked.

    Raises:
        UsageError: The store is on a server, or Datasette is not installed.
        StoreError: There is no such store.
    """
    path = _require_file(db)
    try:
        from datasette.app import Datasette
        from datasette.database import Database
    except ImportError as error:
        message = "robench explore needs Datasette, which is not installed"
        raise UsageError(message, 'pip install "robench[explore]"') from error

    class ReadOnly(Database):  # type: ignore[misc]
        """Opens nothing that could write, whatever a plugin of Datasette asks for."""

        def connect(self, write: bool = False) -> sqlite3.Connection:  # noqa: ARG002
            # Not immutable: that ignores locks, and a run may be filling the store.
            address = f"file:{quote(os.fsencode(path))}?mode=ro"
            connection = sqlite3.connect(address, uri=True, check_same_thread=False)
            self._all_file_connections.append(connection)  # those that close() closes
            return connection

    datasette = Datasette(metadata=describe(str(path)), settings=_SETTINGS)
    datasette.remove_database("_memory")  # which it has where it was given no file
    datasette.add_database(ReadOnly(datasette, path=str(path)), name=NAME)
    return datasette


def describe(source: str) -> dict[str, object]:
    """Return what tables, columns and queries are, in the form of Datasette.

    Args:
        source: What is shown, for people.
    """
    tables: dict[str, object] = {
        name: {"description": f"One row is {table.meaning}.", "columns": dict(table.columns)}
        for name, table in TABLES.items()
    }
    queries = {
        name: {
            "title": question.title,
            "sql": question.sql.strip(),
            "description": "; ".join(question.parameters.values()),
            "params": list(question.parameters),
        }
        for name, question in QUESTIONS.items()
    }
    return {
        "title": f"robench: {Path(source).name}",
        "description": "Results of robench, read-only.",
        "databases": {
            NAME: {
                "source": source,
                "description": "The views results and worst_case answer most questions; the queries below the rest.",
                "tables": {**tables, "alembic_version": {"hidden": True}},
                "queries": queries,
            }
        },
    }


def _require_file(db: str) -> Path:
    location = Location.parse(db)
    if location.path is None:
        message = f"{location} is on a PostgreSQL server, and robench explore opens files"
        raise UsageError(
            message, "robench db merge URL --db copy.db makes a file of it; robench db export and import do, too"
        )
    ResultStore.open(db, create=False).close()
    return location.path


def _listen(port: int | None) -> socket.socket:
    hint = "choose another between 1024 and 65535, or leave it out for a free one"
    if port is not None and not 0 < port <= _LAST_PORT:
        message = f"--port {port}: there is no such port"
        raise UsageError(message, hint)
    try:
        return socket.create_server((HOST, port or 0))
    except OSError as error:
        message = f"--port {port}: {os.strerror(error.errno) if error.errno else error}"
        raise UsageError(message, hint) from error


def _local_only(app: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Answer only who asks for this machine by name.

    Else a stranger's page could have its own name lead here, and read what the browser then takes for its own.
    """

    async def answer(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        host = next((value for name, value in scope.get("headers", ()) if name == b"host"), b"")
        if scope["type"] != "http" or host.decode("latin-1").split(":")[0] in _NAMES:
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": f"ask for http://{HOST}\n".encode()})

    return answer
