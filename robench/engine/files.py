"""Files that are whole or absent, whenever the process dies."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from robench.errors import IncompleteError, RobenchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; flush what was written to it to the disk and put it in place at once.

    Raises:
        IncompleteError: If the disk is full.
        RobenchError: If the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _explain(error: OSError, path: Path) -> RobenchError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        message = f"no space left to write {path}"
        return IncompleteError(
            message, "free some space, or set ROBENCH_CACHE to a larger disk; the same command resumes"
        )
    message = f"cannot write {path}: {error.strerror or error}"
    return RobenchError(message, "set ROBENCH_CACHE to a folder that you can write to")
