"""Files that commands are asked to write."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

from robench.engine.files import replacing
from robench.errors import RobenchError, UsageError

_PRECIOUS = (b"SQLite format 3\0", b"PK\x03\x04")
"""Beginnings of stores and of exported archives."""


@contextmanager
def stdout_into(path: Path | None) -> Iterator[None]:
    """Write to a file what is printed meanwhile; leave stdout alone without one.

    Raises:
        UsageError: If the path is a folder, or its folder does not exist; before anything is done.
        RobenchError: If it cannot be written.
    """
    if path is None:
        yield
        return
    check_output(path)
    with redirect_stdout(StringIO()) as text:
        yield
    write_output(path, text.getvalue().encode())


def check_output(path: Path) -> None:
    """Refuse a place that cannot be written, or that holds what nobody means to replace by a report.

    Raises:
        UsageError: If the path is a folder, a database or an archive, or its folder does not exist.
    """
    if path.name == "-":
        message = f"--output: {path} names no file"
        raise UsageError(message, "leave it out to write to stdout")
    if path.is_dir():
        message = f"--output: {path} is a folder"
        raise UsageError(message, "name a file")
    if not path.parent.is_dir():
        message = f"--output: there is no folder {path.parent}"
        raise UsageError(message, "create the folder, or name another file")
    if _begins_like(path, _PRECIOUS):
        message = f"--output: {path} is a database or an archive, perhaps the one that is read"
        raise UsageError(message, "name another file, or remove that one")


def _begins_like(path: Path, beginnings: tuple[bytes, ...]) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(max(map(len, beginnings))).startswith(beginnings)
    except OSError:
        return False  # whoever writes to it will be told


def write_output(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, and say so on stderr; what is there is replaced.

    A link is followed. A device or a pipe is written to and stays what it is.

    Raises:
        RobenchError: If it cannot be written.
    """
    if path.exists() and not path.is_file():
        try:
            with path.open("wb") as device:
                device.write(content)
        except OSError as error:
            message = f"--output: {path}: {error.strerror or error}"
            raise RobenchError(message, "name another file") from error
    else:
        with replacing(path.resolve(), elsewhere="name with --output") as temporary:
            temporary.write_bytes(content)
    sys.stderr.write(f"wrote {path} ({len(content):,} bytes)\n")
