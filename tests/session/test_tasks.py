"""How many batches make a task."""

from __future__ import annotations

import pytest

from robench.engine.sweep import SweepWork
from robench.session.tasks import Pace, TaskResult


def after(batches: int, seconds: float) -> Pace:
    pace = Pace()
    found = tuple(SweepWork(works={}, examples={}) for _ in range(batches))
    pace.learn(TaskResult(found=found, seconds=seconds, environment="{}"))
    return pace


def test_nothing_known_means_one_batch() -> None:
    assert Pace().batches(left=1000, workers=1) == 1


@pytest.mark.parametrize(("seconds", "expected"), [(0.01, 500), (1.0, 10), (3.0, 4), (10.0, 1), (60.0, 1)])
def test_a_task_is_as_many_batches_as_take_ten_seconds(seconds: float, expected: int) -> None:
    assert after(2, 2 * seconds).batches(left=1000, workers=1) == expected  # of 1,000 half at most


@pytest.mark.parametrize(("left", "workers", "expected"), [(100, 2, 25), (9, 2, 3), (1, 8, 1), (100, 64, 1)])
def test_no_task_is_more_than_half_of_a_share(left: int, workers: int, expected: int) -> None:
    assert after(10, 0.1).batches(left, workers) == expected
