"""Files that are whole or absent, whenever the process dies."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from robench.errors import IncompleteError, RobenchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replacing(path: Path, *, elsewhere: str = "set ROBENCH_CACHE to") -> Iterator[Path]:
    """Give a temporary path beside ``path``; flush what was written to it to the disk and put it in place at once.

    It gets the permissions of any new file, those that the umask allows; safetensors would keep it from all others.

    Args:
        path: What is written; its folder is made.
        elsewhere: Beginning of the hint that another folder would do.

    Raises:
        IncompleteError: If the disk is full.
        RobenchError: If the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        allowed = temporary.stat().st_mode
        yield temporary
        if temporary.stat().st_mode != allowed:
            temporary.chmod(stat.S_IMODE(allowed))
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _explain(error, path, elsewhere) from error
    finally:
        with suppress(OSError):  # where nothing can be written, nothing was left
            temporary.unlink(missing_ok=True)


def require_space(folder: Path, needed: int, what: str) -> None:
    """Refuse to begin what a disk has no space for.

    Args:
        folder: Where it is going to be written; exists.
        needed: Bytes.
        what: Is written, for the message.

    Raises:
        RobenchError: If less is free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        message = f"{what} needs about {-(-needed // 2**20):,} MiB in {folder}, where {free // 2**20:,} MiB are free"
        raise RobenchError(message, "free some space, or set ROBENCH_CACHE to a folder on a larger disk")


def unreadable(path: Path, error: OSError) -> RobenchError:
    """Return the error that a file may be whole but cannot be read, to be raised."""
    message = f"cannot read {path}: {error.strerror or error}"
    return RobenchError(message, "check its permissions and its disk; it need not be damaged")


def require_readable(path: Path) -> None:
    """Open a file and close it again: safetensors calls every file missing that it may not open.

    Raises:
        OSError: As ``open`` does.
    """
    with path.open("rb"):
        pass


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _explain(error: OSError, path: Path, elsewhere: str) -> RobenchError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        message = f"no space left to write {path}"
        hint = f"free some space, or {elsewhere} a folder on a larger disk; the same command resumes"
        return IncompleteError(message, hint)
    message = f"cannot write {path}: {error.strerror or error}"
    return RobenchError(message, f"{elsewhere} a folder that you can write to")
