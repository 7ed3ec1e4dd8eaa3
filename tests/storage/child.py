"""Uses a store as the lines on standard input say, one JSON list a line, and answers each with lines of its own.

Run as a process, so that a test can kill it, limit its disk, or start several of them.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from typing import TYPE_CHECKING

from robench.api.records import Cell, ImageOutcome, Outcome, Run, Shard
from robench.errors import RobenchError
from robench.storage import connection
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable

SHARD = 10


def say(text: object) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def open_store(path: str) -> None:
    ResultStore.open(path, create=True).close()
    say("ok alembic" if "alembic" in sys.modules else "ok")


def use_wal() -> None:
    connection.wal_is_safe = lambda version: True
    say("ok")


def limit_file_size(count: int) -> None:
    # Python ignores SIGXFSZ already; said here because the test depends on it.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, count))
    say("ok")


def write(path: str, cells: list[int], shards: int, runs: int = 0) -> None:
    """Add a run for every cell and store what they miss, a shard of each at once; say the first position each time.

    Runs are numbered from ``runs`` on, so that two processes can fill the same cells, each for runs of its own.
    """
    images = shards * SHARD
    keys = [f"{cell:064x}" for cell in cells]
    with ResultStore.open(path, create=True) as store:
        for cell, key in zip(cells, keys, strict=True):
            store.add_run(run_of(runs + cell, images), [cell_with(key)])
        missing = store.missing(keys[0], images)
        for first in range(0, len(missing), SHARD):
            outcomes = tuple(
                ImageOutcome(
                    position=p,
                    image=p,
                    label=0,
                    prediction=1,
                    outcome=Outcome.WRONG,
                    score=p / 7,
                    draws=1,
                    draws_wrong=1,
                    draws_rejected=0,
                )
                for p in missing[first : first + SHARD]
            )
            shard = Shard(outcomes=outcomes, seconds=0.1, queries=7, environment="{}")
            store.add_shards([(key, shard) for key in keys])
            say(outcomes[0].position)
        for cell in cells:
            store.set_status(f"{runs + cell:012x}", "complete")
    say("done")


def run_of(cell: int, images: int) -> Run:
    return Run(
        id=f"{cell:012x}",
        command="child",
        created="2026-01-01T00:00:00+00:00",
        status="running",
        dataset="d",
        classifier="c",
        profile="quick",
        images=images,
        seed=0,
        details="{}",
    )


def cell_with(key: str) -> Cell:
    return Cell(
        key=key,
        dataset="d",
        data_digest="",
        classifier="c",
        classifier_digest="",
        defense="none",
        defense_digest="",
        threshold=None,
        attack="pgd",
        knowledge="naive",
        norm="linf",
        epsilon="0.1",
        seed=0,
        device="cpu",
        settings="{}",
        subject="",
        stochastic=False,
        ensemble="",
        member=False,
    )


COMMANDS: dict[str, Callable[..., None]] = {
    "open": open_store,
    "wal": use_wal,
    "limit": limit_file_size,
    "write": write,
}

for line in sys.stdin:
    name, *arguments = json.loads(line)
    try:
        COMMANDS[name](*arguments)
    except RobenchError as error:
        say(f"{type(error).__name__} {error.exit_code} {error}")
