"""Where kept examples are, told by names of files alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from robench.storage.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterable

    from robench.api.records import Cell

RECONSTRUCTIONS = "reconstructions"
"""Folder of reconstructions in that of a cell."""


def examples_folder(db: str) -> Path:
    """Return where the examples of a store are: beside its file, or in the current folder if it is on a server.

    Args:
        db: Path or URL of the store.
    """
    path = Location.parse(db).path
    return Path("robench.examples") if path is None else path.with_suffix(".examples")


def example_files(root: Path, cell: Cell) -> list[Path]:
    """Return the files of a cell, the newest last: where a run was killed, it is of the outcomes that were stored."""
    return _newest_last(root.glob(f"*/{cell.key}/*.safetensors"))


def reconstruction_files(root: Path, cell: Cell) -> list[Path]:
    """Return the files of the reconstructions of a cell, the newest last."""
    return _newest_last(root.glob(f"*/{cell.key}/{RECONSTRUCTIONS}/*.safetensors"))


def span(path: Path) -> range:
    """Return the positions that a file's name spans; all, if it is not named as robench names them."""
    first, _, last = path.stem.partition("-")
    return range(int(first), int(last) + 1) if first.isdecimal() and last.isdecimal() else range(sys.maxsize)


def _newest_last(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path))
