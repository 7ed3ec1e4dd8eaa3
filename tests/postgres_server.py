"""A PostgreSQL server of our own: started from the installed binaries, on a Unix socket, thrown away afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534
START_SECONDS = 60
MISSING = "no PostgreSQL server is installed: `apt-get install postgresql`"


class PostgresServer:
    """A running server.

    Args:
        socket: Folder of its socket.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._numbers = count()

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://robench@/{database}?host={self._socket}"

    def new_database(self) -> str:
        """Make an empty database, and return its URL."""
        name = f"robench_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str) -> None:
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a server, and stop it in the end.

    Raises:
        RuntimeError: None is installed, or it does not start.
    """
    # Not in pytest's folders: they are closed to the user as whom the server must run, and too deep for a socket.
    folder = Path(tempfile.mkdtemp(prefix="robench-pg-"))
    data, log = folder / "data", folder / "log"
    # Neither initdb nor the server run as root.
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        os.chown(folder, NOBODY, NOBODY)
    try:
        # A collation that is not that of bytes, as servers usually have: SQLite's is, and no answer may depend on it.
        collation = ["--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
        arguments = ["--username=robench", "--auth=trust", "--no-sync", f"--pgdata={data}"]
        made = subprocess.run(
            [_binary("initdb"), *arguments, *collation], cwd=folder, capture_output=True, text=True, check=False, **user
        )
        if made.returncode:
            raise RuntimeError(made.stderr)
        settings = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=60"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [_binary("postgres"), "-D", data, "-k", folder, *settings],
                cwd=folder,
                stdout=output,
                stderr=output,
                **user,
            )
        try:
            server = PostgresServer(folder)
            _await(server, process, log)
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nothing is to be kept
            process.wait(timeout=START_SECONDS)
    finally:
        shutil.rmtree(folder)


def find_binary(name: str) -> str | None:
    """Find a program of the server; Debian keeps them off the search path, the newest release last."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(debian[-1]) if debian else shutil.which(name)


def _binary(name: str) -> str:
    found = find_binary(name)
    if found is None:
        raise RuntimeError(MISSING)
    return found


def _await(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.execute("SELECT 1")
        except OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text(errors="replace")) from error
            time.sleep(0.05)
        else:
            return
