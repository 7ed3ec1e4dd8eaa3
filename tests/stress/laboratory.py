"""Folders and plugins that the stress tests need, and what a store really holds."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.records import ImageOutcome, Outcome
from robench.storage.rows import shard_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable

TOYS = Path(__file__).parents[1] / "third_party" / "toys"
OLD_STORE = Path(__file__).parents[1] / "storage" / "schema_0001.sqlite"

_COLUMNS = "position, image, label, prediction, outcome, score, draws, draws_wrong, draws_rejected, search_won"


def environment(cache: Path) -> dict[str, str]:
    """Return the environment without the user's robench settings, with a cache and one thread a process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROBENCH_")}
    return {**kept, "ROBENCH_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def install_toys(folder: Path) -> Path:
    """Install the toy plugins into a folder, from here."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(folder), str(TOYS)], check=True, capture_output=True)
    return folder


def stored(path: Path) -> set[tuple[str, int]]:
    """Return key of the cell and position of every outcome in an SQLite store; nothing where there is none yet."""
    query = "SELECT c.key, o.position FROM outcomes o JOIN cells c ON c.id = o.cell_id"
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=30)) as database:
            return set(database.execute(query))
    except sqlite3.OperationalError as error:
        if "no such table" in str(error) or "unable to open" in str(error):
            return set()
        raise


def acknowledged(lines: Iterable[str]) -> list[tuple[str, int]]:
    """Return key and position of every outcome that children have said to be stored."""
    found = []
    for line in lines:
        word, *rest = line.split(" ")
        if word == "stored":
            key, positions = rest
            found += [(key, int(position)) for position in positions.split(",")]
    return found


def altered_shards(path: Path) -> list[int]:
    """Return the numbers of stored shards whose outcomes are not those that were stored."""
    with closing(sqlite3.connect(path)) as database:
        shards = database.execute("SELECT s.id, s.sha256, c.key FROM shards s JOIN cells c ON c.id = s.cell_id")
        return [
            number
            for number, digest, key in shards.fetchall()
            if _digest(key, database.execute(f"SELECT {_COLUMNS} FROM outcomes WHERE shard_id = ?", [number])) != digest
        ]


def _digest(key: str, rows: Iterable[tuple[object, ...]]) -> str:
    names = _COLUMNS.split(", ")
    try:
        records = [dict(zip(names, row, strict=True)) for row in rows]
        return shard_sha256(key, [ImageOutcome(**{**row, "outcome": Outcome(row["outcome"])}) for row in records])  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return "unreadable"
