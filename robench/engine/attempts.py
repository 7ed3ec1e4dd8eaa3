"""Processes that the system ended without a word, most often for want of memory, leave a note for the next one."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from robench.processes import is_gone, this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Attempts:
    """Notes of what is under way, one file each, in a folder of the cache.

    A batch that is too large for a GPU or an allocator raises, and is halved. The Linux kernel does not raise: it
    kills. All that is left then is the note, by which the next attempt tries half as much. Whoever was killed for
    another reason loses a little speed and nothing else, since outcomes do not depend on the batch size.

    Args:
        folder: May not exist yet, or not be writable; then nothing is noted.
        tell: Takes a line if a former attempt has died.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder, self._tell = folder, tell
        self._limits: dict[str, int] = {}

    @contextmanager
    def under_way(self, key: str, rows: int) -> Iterator[int]:
        """Note for the length of a block that so many rows are under way.

        Args:
            key: Names what they are put to.
            rows: The most rows.

        Yields:
            How many may be used: half of what the last attempt died of, if it did, for as long as this object lives.
        """
        former = self._collect(key)
        if former:
            self._limits[key] = max(1, min(former) // 2)
            self._tell(
                f"the last attempt ended without a word with {min(former)} images under way, maybe for want of memory: "
                f"trying {min(rows, self._limits[key])}"
            )
        rows = min(rows, self._limits.get(key, rows))
        note = self._folder / f"{key}.{os.getpid()}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            note.write_text(json.dumps({"process": this_process(), "rows": rows}), encoding="utf-8")
        except OSError:
            yield rows  # a cache that is read-only remembers nothing
            return
        try:
            yield rows
        finally:
            note.unlink(missing_ok=True)

    def _collect(self, key: str) -> list[int]:
        """Take away the notes of processes that are gone, and return their numbers of rows."""
        found = []
        for note in self._folder.glob(f"{key}.*.json"):
            try:
                left = json.loads(note.read_text(encoding="utf-8"))
                process, rows = str(left["process"]), int(left["rows"])
            except (OSError, ValueError, TypeError, KeyError):
                continue  # just taken away by another process, or just being written
            if is_gone(process):
                found.append(rows)
                note.unlink(missing_ok=True)
        return found
