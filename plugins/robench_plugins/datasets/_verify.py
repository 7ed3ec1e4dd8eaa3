"""Opens files that others supplied, and says what is wrong with them."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import tarfile
import zlib
from typing import TYPE_CHECKING

from robench.api import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path


def present(path: Path) -> bool:
    """Tell whether there is anything at all under this name, be it a folder or a dangling link.

    What is there but unusable must lead to an error that names it, not to another file that is used instead.

    Raises:
        DataError: If a folder above it may not be searched.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error
    return True


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open a file and turn every failure to read or to decompress it into an error that names it.

    Raises:
        DataError: If the file is missing, a folder, not to be read, cut short, or no valid archive.
    """
    try:
        with path.open("rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        message = f"{path} is cut short or damaged: {error}"
        hint = "replace it by a fresh copy"
        raise DataError(message, hint) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def has_digest(path: Path, sha256: str) -> bool:
    """Tell whether the file is there and has this SHA-256, given as hexadecimal text.

    Raises:
        DataError: If there is something that cannot be read.
    """
    if not present(path):
        return False
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _unreadable(path: Path, error: OSError) -> DataError:
    message = f"{path} cannot be read: {error.strerror or error}"
    return DataError(message, "it must be a file that you may read")
