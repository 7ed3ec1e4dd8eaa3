"""Files that commands are asked to write."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

from robench.engine.files import replacing
from robench.errors import UsageError


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
    """Refuse a place that cannot be written.

    Raises:
        UsageError: If the path is a folder, or its folder does not exist.
    """
    if path.is_dir():
        message = f"--output: {path} is a folder"
        raise UsageError(message, "name a file")
    if not path.parent.is_dir():
        message = f"--output: there is no folder {path.parent}"
        raise UsageError(message, "create the folder, or name another file")


def write_output(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, and say so on stderr; what is there is replaced.

    Raises:
        RobenchError: If it cannot be written.
    """
    with replacing(path, elsewhere="name with --output") as temporary:
        temporary.write_bytes(content)
    sys.stderr.write(f"wrote {path} ({len(content):,} bytes)\n")
