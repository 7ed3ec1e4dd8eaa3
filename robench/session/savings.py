"""Outcomes on their way to the store: gathered for a few seconds, then committed at once."""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Self

from robench.api.records import Shard
from robench.engine.work import CellWork
from robench.errors import IncompleteError, RobenchError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from robench.engine.stopwatch import Stopwatch
    from robench.storage.store import ResultStore

_LONGEST_PAUSE = 5.0
_COMMIT_COST_SHARE = 0.01
"""Seconds between two commits at most, and the share of the time that commits may take if that allows it."""


class Savings:
    """Gathers outcomes cell by cell; what a process has found of a cell when it is committed is one shard.

    A commit waits for the disk, which takes longer than attacking a small network. So there is a pause between commits,
    a hundred times as long as the last one took, but a few seconds at most. The last comes at the end, also when the
    end is an exception: what was judged is not lost.

    Args:
        store: Where to.
        environment: Versions and hardware of this process, as JSON text.
        watch: Told what the time goes into.
    """

    def __init__(self, store: ResultStore, environment: str, watch: Stopwatch) -> None:
        self._store = store
        self._environment = environment
        self._watch = watch
        self._works: dict[tuple[str, str], CellWork] = {}
        self._next = 0.0

    def add(self, works: Mapping[str, CellWork], environment: str = "") -> None:
        """Gather the work on some cells by their keys.

        Args:
            works: By key of the cell.
            environment: Versions and hardware of the process that did it, if it was another one.
        """
        for key, work in works.items():
            self._works.setdefault((key, environment or self._environment), CellWork()).add(work)
        if time.monotonic() >= self._next:
            self.commit()

    def commit(self) -> None:
        """Store what was gathered."""
        shards = [
            (
                key,
                Shard(
                    outcomes=tuple(work.outcomes),
                    seconds=work.seconds,
                    queries=work.queries,
                    environment=environment,
                ),
            )
            for (key, environment), work in self._works.items()
        ]
        begun = time.monotonic()
        if shards:
            with self._watch.measure("store"):
                self._store.add_shards(shards)
        self._works = {}
        now = time.monotonic()
        self._next = now + min(_LONGEST_PAUSE, (now - begun) / _COMMIT_COST_SHARE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, StoreError | IncompleteError):  # with which these outcomes have just been refused
            return
        # What ended the run is what the user must hear of, not that the store is locked or full as well.
        with suppress(RobenchError) if error is not None else nullcontext():
            self.commit()
