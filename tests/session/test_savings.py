"""Outcomes are gathered, then committed: seldom enough to cost little, and always at the end."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

import pytest
import torch

from robench.api.records import ImageOutcome, Outcome, Shard
from robench.engine.stopwatch import Stopwatch
from robench.engine.work import CellWork
from robench.errors import IncompleteError, RobenchError, StoreError
from robench.session import savings
from robench.session.savings import Savings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.storage.store import ResultStore


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Store:
    """Takes a while for each commit, or refuses."""

    def __init__(self, clock: Clock, seconds: float, error: RobenchError | None = None) -> None:
        self.clock, self.seconds, self.error = clock, seconds, error
        self.commits: list[dict[str, Shard]] = []
        self.asked = 0

    def add_shards(self, shards: Sequence[tuple[str, Shard]]) -> None:
        self.asked += 1
        self.clock.now += self.seconds
        if self.error is not None:
            raise self.error
        self.commits.append(dict(shards))


def outcome(position: int) -> ImageOutcome:
    return ImageOutcome(
        position=position,
        image=position,
        label=0,
        prediction=0,
        outcome=Outcome.CORRECT,
        score=None,
        draws=1,
        draws_wrong=0,
        draws_rejected=0,
    )


def work(position: int, *, seconds: float, queries: int = 0) -> CellWork:
    return CellWork(outcomes=[outcome(position)], seconds=seconds, queries=queries)


def gather(clock: Clock, store: Store, monkeypatch: pytest.MonkeyPatch) -> Savings:
    monkeypatch.setattr(savings, "time", clock)
    return Savings(cast("ResultStore", store), "{}", Stopwatch(torch.device("cpu")))


@pytest.mark.parametrize(("seconds", "pause"), [(0.01, 1.0), (0.04, 4.0), (0.2, 5.0)])
def test_a_pause_is_a_hundred_commits_long_but_five_seconds_at_most(
    monkeypatch: pytest.MonkeyPatch, seconds: float, pause: float
) -> None:
    clock = Clock()
    store = Store(clock, seconds)
    with gather(clock, store, monkeypatch) as saving:
        saving.add({"a": work(0, seconds=1.0)})
        assert store.asked == 1  # what comes first is safe at once
        clock.now += 0.9 * pause
        saving.add({"a": work(1, seconds=1.0)})
        assert store.asked == 1
        clock.now += 0.2 * pause
        saving.add({"a": work(2, seconds=1.0)})
        assert store.asked == 2
    assert store.asked == 2  # nothing is left for the end
    assert [item.position for item in store.commits[1]["a"].outcomes] == [1, 2]


def test_a_cell_is_one_shard_of_each_commit_with_its_time_and_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    store = Store(clock, 1.0)
    with gather(clock, store, monkeypatch) as saving:
        saving.add({"a": work(0, seconds=1.0)})
        saving.add({"a": work(1, seconds=1.0), "b": work(1, seconds=1.0, queries=7)})
        saving.add({"b": work(2, seconds=4.0, queries=5)})
    assert {key: (shard.seconds, shard.queries) for key, shard in store.commits[1].items()} == {
        "a": (1.0, 0),
        "b": (5.0, 12),
    }


def test_what_was_judged_before_something_failed_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    store = Store(clock, 1.0)
    with suppress(KeyboardInterrupt), gather(clock, store, monkeypatch) as saving:
        saving.add({"a": work(0, seconds=1.0)})
        saving.add({"a": work(1, seconds=1.0)})
        raise KeyboardInterrupt
    assert [item.position for commit in store.commits for item in commit["a"].outcomes] == [0, 1]


@pytest.mark.parametrize("error", [StoreError("locked"), IncompleteError("disk full")])
def test_a_store_that_refuses_is_not_asked_again(monkeypatch: pytest.MonkeyPatch, error: RobenchError) -> None:
    clock = Clock()
    store = Store(clock, 1.0, error)
    with pytest.raises(type(error)), gather(clock, store, monkeypatch) as saving:
        saving.add({"a": work(0, seconds=1.0)})
    assert store.asked == 1
