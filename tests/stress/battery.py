"""Every stress test with its counts."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.postgres_server import running_server
from tests.stress.crowds import crowd
from tests.stress.flips import flip_bytes
from tests.stress.floods import fill_disks
from tests.stress.fuzz import fuzz_settings
from tests.stress.kills import kill_runs, kill_trainings, kill_upgrades
from tests.stress.laboratory import environment, install_toys
from tests.stress.nursery import Nursery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.stress.trial import Trial

POSTGRES = "ROBENCH_STRESS_POSTGRES"
"""Variable with the URL of a server's database, which ends in its name; without it a server is started."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much of each is done."""

    runs: int = 100
    trainings: int = 20
    upgrades: int = 20
    shards: int = 100
    openings: int = 25
    flips: int = 60
    disks: int = 5
    examples: int = 12_000


REDUCED = Counts(runs=3, trainings=2, upgrades=2, shards=5, openings=2, flips=9, disks=1, examples=400)


def battery(folder: Path, counts: Counts) -> Mapping[str, Callable[[], Trial]]:
    """Return the stress tests by name; each has a nursery and a folder of its own.

    Args:
        folder: Empty, for everything that they write.
        counts: How much of each is done.
    """
    trials: dict[str, Callable[[Nursery, Path], Trial]] = {
        "runs": partial(kill_runs, count=counts.runs),
        "trainings": partial(kill_trainings, count=counts.trainings),
        "crowd": partial(_crowd_file, counts=counts),
        "crowd-postgresql": partial(_crowd_server, counts=counts),
        "flips": partial(flip_bytes, count=counts.flips),
        "upgrades": partial(kill_upgrades, count=counts.upgrades),
        "disks": partial(fill_disks, count=counts.disks),
        "settings": lambda _, own: fuzz_settings(own, counts.examples),
    }
    return {name: partial(_alone, folder / name, trial) for name, trial in trials.items()}


def _alone(folder: Path, trial: Callable[[Nursery, Path], Trial]) -> Trial:
    folder.mkdir()
    toys = install_toys(folder / "toys")
    with Nursery(folder, environment(folder / "cache"), toys) as nursery:
        return trial(nursery, folder)


def _crowd_file(nursery: Nursery, folder: Path, counts: Counts) -> Trial:
    return crowd(
        nursery,
        lambda name: str(folder / f"{name}.db"),
        "SQLite",
        shards=counts.shards,
        openings=counts.openings,
    )


def _crowd_server(nursery: Nursery, folder: Path, counts: Counts) -> Trial:
    with ExitStack() as stack:
        given = os.environ.get(POSTGRES)
        server = None if given else stack.enter_context(running_server())
        databases = [given] if given else []

        def location(name: str) -> str:
            return databases[0] if server is None else server.new_database()

        return crowd(nursery, location, "PostgreSQL", shards=counts.shards, openings=0 if given else counts.openings)


def scratch() -> str:
    """Return a folder for files that only a killed process could spoil: in memory where there is such a one."""
    memory = Path("/dev/shm")
    return tempfile.mkdtemp(prefix="robench-stress-", dir=memory if os.access(memory, os.W_OK) else None)
