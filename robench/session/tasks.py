"""The unit of work that travels: some batches of one sweep, and what came of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from robench.config.staff import Part
    from robench.engine.plan import Sweep
    from robench.engine.sweep import SweepWork

TASK_SECONDS = 10.0
"""How long a task of another process should take: what is lost with it, and what messages cost, are small."""

Batch = tuple[tuple[int, ...], tuple[str, ...]]
"""Positions that are attacked together, and at which epsilons."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Some batches of a sweep.

    A worker lays out the sweep itself and finds it by its key, which stands for weights, threshold, code and all that
    outcomes depend on. So a worker that has anything else cannot bring wrong outcomes: it does not know the task.

    Attributes:
        defense, attack: Names.
        without: Attacks that failed, so that the ensemble goes on without them, in the order in which they were lost.
        key: Of the first cell of the sweep.
        batches: What is attacked together.
        rows: How many images, or images at one epsilon each, go through the defense together.
    """

    defense: str
    attack: str
    without: tuple[str, ...]
    key: str
    batches: tuple[Batch, ...]
    rows: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attack or a defense broke off.

    Attributes:
        reason: One line.
        member: The attack of an ensemble that the others can do without, if it was one.
    """

    reason: str
    member: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """What came of a task.

    Attributes:
        found: Of each batch, in order; those after a failure are missing.
        seconds: Wall time of these batches together.
        environment: Versions and hardware of the worker, as JSON text.
        failure: Why it broke off, if it did.
    """

    found: tuple[SweepWork, ...]
    seconds: float
    environment: str
    failure: Failure | None = None


def batches(missing: Mapping[str, Sequence[int]], size: int, sweep: Sweep) -> Iterator[Batch]:
    """Group positions that lack the same epsilons so that image times epsilons fill a batch.

    Args:
        missing: By epsilon, positions without an outcome, ascending.
        size: Images, or images at one epsilon each.
        sweep: Whose cells they are of.
    """
    lacking: dict[int, list[str]] = {}
    for epsilon, positions in missing.items():
        for position in positions:
            lacking.setdefault(position, []).append(epsilon)
    groups: dict[tuple[str, ...], list[int]] = {}
    for position in sorted(lacking):
        groups.setdefault(tuple(lacking[position]), []).append(position)
    for epsilons, group in groups.items():
        count = images_a_batch(sweep, size, len(epsilons))
        for start in range(0, len(group), count):
            yield tuple(group[start : start + count]), epsilons


def images_a_batch(sweep: Sweep, size: int, epsilons: int) -> int:
    """Return how many images fill a batch of a size at so many epsilons each."""
    # In an ensemble every image is at one epsilon at a time, and a minimal attack takes all at once.
    once = sweep.assault is None or sweep.assault.form == "minimal"
    return size if once else max(1, size // epsilons)


def images_of_part(part: Part | None, images: int, together: int) -> range:
    """Return the positions that a part of a run fills, so that all parts cut the same batches as one run would.

    Args:
        part: Which one; None for all.
        images: Of the run.
        together: Images that are attacked together.
    """
    if part is None:
        return range(images)
    count = math.ceil(images / together)
    first, last = (count * number // part.count for number in (part.number - 1, part.number))
    return range(first * together, min(images, last * together))


def batch_size_of_parts(part: Part, images: int, usual: int) -> int:
    """Return the batch size of all parts of a run: not tried out, since other machines may find another one.

    Args:
        part: One of them.
        images: Of the run.
        usual: For this kind of device.
    """
    return max(1, min(usual, images // part.count))


class Pace:
    """How many batches make a task, by how long those before took. The batches themselves stay as they are."""

    def __init__(self) -> None:
        self._seconds, self._batches = 0.0, 0

    def learn(self, result: TaskResult) -> None:
        """Take note of what a task took."""
        self._seconds += result.seconds
        self._batches += len(result.found)

    def batches(self, left: int, workers: int) -> int:
        """Return how many of the batches that are left to take together.

        One as long as nothing is known. Never more than half of a worker's share, so that all end at about the same
        time.

        Args:
            left: Batches that are left of the sweep, at least one.
            workers: How many tasks are under way at once.
        """
        if not self._batches:
            return 1
        enough = math.ceil(TASK_SECONDS * self._batches / max(self._seconds, 1e-9))
        return max(1, min(enough, math.ceil(left / (2 * workers))))
