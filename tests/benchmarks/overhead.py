"""What workers cost: the same run by each executor on all cores, ``python -m tests.benchmarks.overhead``.

``local`` has all threads in one process, the others divide them among two workers. Each run has a store of its own;
executors take turns, so that a machine that slows down does so for all. Starts of workers are in the figures.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

WORKERS = ("--workers", "2")
EXECUTORS = {
    "local": ("--executor", "local"),
    "processes": ("--executor", "processes", *WORKERS),
    "ray": ("--executor", "ray", *WORKERS),
}


def take(folder: Path, executor: str, request: list[str]) -> float:
    """Run in an empty store; return the seconds of the whole command."""
    path = folder / f"{executor}.db"
    for found in folder.glob(f"{executor}.*"):
        found.unlink()
    command = [sys.executable, "-m", "robench", "run", "--quiet", *request, *EXECUTORS[executor], "--db", str(path)]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def outcomes(path: Path) -> list[tuple[object, ...]]:
    """Return what was found out about each image, in an order that does not depend on who did it."""
    with sqlite3.connect(path) as database:
        return database.execute(
            "SELECT key, position, prediction, outcome, score, draws_wrong, draws_rejected, search_won "
            "FROM outcomes JOIN cells ON cells.id = cell_id ORDER BY key, position"
        ).fetchall()


def main() -> None:
    """Take turns, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--executors", nargs="+", choices=EXECUTORS, default=list(EXECUTORS))
    arguments, request = parser.parse_known_args()
    seconds: dict[str, list[float]] = {name: [] for name in arguments.executors}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(arguments.rounds):
            for executor, taken in seconds.items():
                taken.append(take(folder, executor, request))
                sys.stderr.write(f"{executor}: {taken[-1]:.1f} s\n")
        found = [outcomes(folder / f"{executor}.db") for executor in seconds]
    alike = all(one == found[0] for one in found)
    reference = median(seconds[arguments.executors[0]])
    for executor, taken in seconds.items():
        each = ", ".join(f"{one:.1f}" for one in taken)
        middle = median(taken)
        sys.stdout.write(f"{executor:10} {middle:7.1f} s, {middle / reference:.3f} of the first ({each})\n")
    sys.stdout.write(f"{len(found[0])} outcomes, {'identical' if alike else 'DIFFERENT'}\n")


if __name__ == "__main__":
    main()
