"""What holds a run on many GPUs together: how much its driver takes in, and what sending work away costs.

``python -m tests.benchmarks.scaling`` prints the figures of ``docs/scaling.md``. The driver is the real one: results of
tasks come as the bytes that workers send, are gathered and committed to a store on the disk of the current folder.
"""

from __future__ import annotations

import argparse
import json
import math
import pickle
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from robench.api.records import ImageOutcome, Outcome
from robench.engine.stopwatch import Stopwatch
from robench.engine.sweep import SweepWork
from robench.engine.work import CellWork
from robench.executors.spawned import SpawnedCrew
from robench.session.savings import Savings
from robench.session.tasks import TASK_SECONDS, TaskResult
from robench.storage.store import ResultStore
from tests.storage.conftest import Make

EPSILONS = 30
IMAGES = (15, 100)
"""Of one task: 450 outcomes, as in ten seconds of a matrix of 27 million that takes a GPU a week; and 3,000, of attacks
that are nearly seven times as cheap."""


def result(first: int, images: int, keys: list[str]) -> bytes:
    """Return the message that a worker sends after a task: some images at all epsilons, without examples."""
    works = {
        key: CellWork(outcomes=[_outcome(first + number) for number in range(images)], seconds=0.3, queries=4000)
        for key in keys
    }
    found = (SweepWork(works=works, examples={}),)
    value = TaskResult(found=found, seconds=TASK_SECONDS, environment=json.dumps({"device": "made up"}))
    return pickle.dumps(("done", value), protocol=pickle.HIGHEST_PROTOCOL)


def _outcome(position: int) -> ImageOutcome:
    return ImageOutcome(
        position=position,
        image=position,
        label=position % 10,
        prediction=(position + 1) % 10,
        outcome=Outcome.WRONG,
        score=0.25 + position / 1e6,
        draws=10,
        draws_wrong=9,
        draws_rejected=0,
    )


def measure_driver(folder: Path, tasks: int, images: int) -> dict[str, float]:
    """Take in the results of so many tasks as fast as possible; return seconds for each, and bytes."""
    cells = [Make.cell(number) for number in range(EPSILONS)]
    keys = [cell.key for cell in cells]
    messages = [result(number * images, images, keys) for number in range(tasks)]
    with ResultStore.open(str(folder / f"{images}.db"), create=True) as store:
        store.add_run(Make.run(images=tasks * images), cells)
        begun = time.perf_counter()
        with Savings(store, "{}", Stopwatch(torch.device("cpu"))) as savings:
            for message in messages:
                _, value = pickle.loads(message)
                for found in value.found:
                    savings.add(found.works, value.environment)
        seconds = time.perf_counter() - begun
        stored = store.describe().outcomes
    if stored != tasks * images * EPSILONS:
        complaint = f"{stored} outcomes are stored"
        raise RuntimeError(complaint)
    return {
        "tasks": tasks,
        "seconds_a_task": seconds / tasks,
        "outcomes_a_second": stored / seconds,
        "bytes_a_task": len(messages[0]),
    }


class Answer:
    """Makes a worker that answers every task with the same bytes."""

    def __init__(self, size: int) -> None:
        self._answer = bytes(size)

    def __call__(self, fetch: object) -> Any:
        return lambda task, tried: self._answer


def measure_messages(size: int, count: int) -> dict[str, float]:
    """Send a worker tasks that take no time; return seconds for each, and how long the worker took to be there."""
    crew = SpawnedCrew([{}])
    crew.brief(pickle.dumps(Answer(size)), bytes)
    try:
        begun = time.perf_counter()
        worker = crew.hire()
        _expect(crew, "ready")
        start = time.perf_counter() - begun
        begun = time.perf_counter()
        for number in range(count):
            crew.give(worker, number, 0)
            _expect(crew, "done")
        return {"seconds_a_message": (time.perf_counter() - begun) / count, "start_seconds": start}
    finally:
        crew.close()


def _expect(crew: SpawnedCrew, kind: str) -> None:
    (event,) = crew.events(60)
    if event.kind != kind:
        complaint = f"the worker {event.kind}: {event.value}"
        raise RuntimeError(complaint)


def efficiency(workers: int, driver_seconds: float, message_seconds: float) -> float:
    """Return the share of their time that workers attack, if one driver serves all of them.

    Between two tasks a worker waits for its message, and for the driver, which serves one after the other. By the
    formula for one server and its ``workers`` customers (machine repair, exponential times, which is pessimistic).

    Args:
        workers: Their number.
        driver_seconds: That the driver needs for a result.
        message_seconds: That a message takes.
    """
    away = TASK_SECONDS + message_seconds
    load = driver_seconds / away
    terms = [1.0]
    for number in range(workers):
        terms.append(terms[-1] * (workers - number) * load)
    busy = 1 - 1 / math.fsum(terms)  # share of the time that the driver is at work
    throughput = busy / driver_seconds
    return throughput * TASK_SECONDS / workers


def main() -> None:
    """Measure, work out, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    arguments = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for images in IMAGES:
            driver = measure_driver(Path(folder), arguments.tasks, images)
            messages = measure_messages(int(driver["bytes_a_task"]), 200)
            per_task = driver["seconds_a_task"]
            shares = {str(n): efficiency(n, per_task, messages["seconds_a_message"]) for n in (1, 8, 16, 64, 256)}
            found.append({**driver, **messages, "full_at": TASK_SECONDS / per_task, "efficiency": shares})
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    import_module("tests.benchmarks.scaling").main()  # by the name under which workers find what is pickled
