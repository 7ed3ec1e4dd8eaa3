"""Where a store lies, and what the file system alone says about it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from robench.errors import StoreError
from robench.storage.mounts import shared_type

ANOTHER = "name another file with --db"
SERVER = "postgresql+psycopg"
_EXAMPLE = f"give a path, or {SERVER}://user@host/database"
_SECRETS = ("password", "sslpassword")
LEAST_FREE_BYTES = 2**20
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class Location:
    """A parsed ``--db``.

    Attributes:
        text: For messages: the path or URL as it was given, without password.
        url: For SQLAlchemy.
        path: The SQLite file, absolute with links followed; None for a server.
    """

    text: str
    url: URL = field(repr=False)  # an option of it may be a password
    path: Path | None

    @classmethod
    def parse(cls, text: str) -> Location:
        """Read a path, or a SQLAlchemy URL where ``text`` contains ``://``.

        Raises:
            StoreError: It is no usable path or URL.
        """
        if "://" not in text:
            return cls._of_file(text, text)
        try:
            url = make_url(text)
        except (ArgumentError, ValueError) as error:
            message = "the result store is no valid database URL"
            raise StoreError(message, _EXAMPLE) from error
        hidden = url.update_query_dict({name: "***" for name in _SECRETS if name in url.query})
        shown = hidden.render_as_string(hide_password=True)
        if url.drivername in {"postgresql", SERVER}:
            return cls(shown, url.set(drivername=SERVER), None)
        if url.get_backend_name() != "sqlite":
            message = f"{shown}: a result store is a SQLite file or a PostgreSQL database"
            raise StoreError(message, _EXAMPLE)
        if url.query or not url.database or url.database == ":memory:":
            message = f"{shown}: an SQLite store is a file, without options"
            raise StoreError(message, "give its path")
        return cls._of_file(shown, url.database)

    @classmethod
    def _of_file(cls, text: str, name: str) -> Location:
        if not name or "\0" in name:
            message = f"{name!r} is no path of a result store"
            raise StoreError(message, ANOTHER)
        path = Path(os.path.realpath(Path(name).expanduser()))
        return cls(text, URL.create("sqlite+pysqlite", database=str(path)), path)

    def __str__(self) -> str:
        return self.text

    def is_blank(self) -> bool:
        """Whether there is no file yet, or one without a byte, which is how SQLite begins."""
        return self.path is not None and (not self.path.exists() or self.path.stat().st_size == 0)

    def check_file(self) -> None:
        """Refuse what cannot be a readable database file, without opening it.

        Raises:
            StoreError: It is a directory, a device or an archive, or may not be read.
            OSError: The file system refuses to say.
        """
        if self.path is None or not self.path.exists():
            return
        if not self.path.is_file():
            kind = "a directory" if self.path.is_dir() else "not a regular file"
            message = f"{self} is {kind}, not a result store"
            raise StoreError(message, ANOTHER)
        if not os.access(self.path, os.R_OK, effective_ids=True):
            message = f"{self} may not be read"
            raise StoreError(message, f"change its permissions, or {ANOTHER}")
        with self.path.open("rb") as file:
            beginning = file.read(len(_ZIP))
        if beginning == _ZIP:
            message = f"{self} is an archive, not a store"
            raise StoreError(message, "robench db import takes it into one")

    def check_writable(self) -> None:
        """Refuse what could not be written, without writing.

        Raises:
            StoreError: The file or its folder may not be written, the folder is missing, or its disk is full.
            OSError: The file system refuses to say.
        """
        self.check_file()
        if self.path is None:
            return
        folder = self.path.parent
        if not folder.is_dir():
            message = f"{self}: there is no folder {folder}"
            raise StoreError(message, f"create the folder, or {ANOTHER}")
        # SQLite keeps its journal beside the file, so the folder must be writable even where the file exists.
        for target in (self.path, folder):
            if target.exists() and not os.access(target, os.W_OK, effective_ids=True):
                message = f"{self}: {target} may not be written"
                raise StoreError(message, f"change its permissions, or {ANOTHER}")
        self.check_space(0)

    def check_space(self, needed: int) -> None:
        """Refuse to begin what the disk of a file has no space for.

        Args:
            needed: Bytes, beside what SQLite needs in any case.

        Raises:
            StoreError: There is less.
            OSError: The file system refuses to say.
        """
        if self.path is None:
            return
        free, needed = shutil.disk_usage(self.path.parent).free, needed + LEAST_FREE_BYTES
        if free < needed:
            left = f"has {free // 2**20:,} MiB left, and about {-(-needed // 2**20):,} MiB are needed"
            message = f"{self}: the disk {'is full' if free < LEAST_FREE_BYTES else left}"
            raise StoreError(message, f"free some space, or {ANOTHER}")

    def warning(self) -> str:
        """Return what is dangerous about this place, though it works; nothing where all is well."""
        kind = "" if self.path is None else shared_type(self.path)
        if not kind:
            return ""
        return (
            f"{self} is on a network share ({kind}), where several processes, or one that is cut off, may damage it: "
            "name a file on a local disk, or a PostgreSQL database, with --db"
        )
