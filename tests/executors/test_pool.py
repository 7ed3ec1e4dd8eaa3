"""Who gets which task, and what becomes of the tasks of workers that die: with workers that are only played."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from robench.errors import RobenchError, UsageError
from robench.executors.executor import Finished, Local
from robench.executors.pool import TRIES, Event, Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class PlayedCrew:
    """Workers that answer at once as a script says.

    Args:
        script: Says for a task, and how often it was tried, what comes of it; None if the worker dies of it.
        places: How many workers there can be, each time that somebody asks; the last number stays.
        stillborn: How many workers die before they are ready.
    """

    def __init__(
        self, script: Callable[[Any, int], object], places: list[int] | None = None, stillborn: int = 0
    ) -> None:
        self.script, self.places, self.stillborn = script, deque(places or [2]), stillborn
        self.hired, self.events_to_come, self.log = 0, deque[Event](), list[tuple[int, Any, int]]()
        self.dead: set[int] = set()
        self.opened = self.closed = False

    def wanted(self) -> int:
        return self.places.popleft() if len(self.places) > 1 else self.places[0]

    def brief(self, factory: bytes, supplies: Callable[[], bytes]) -> None:
        pass

    def hire(self) -> int:
        self.hired += 1
        kind = "died" if self.hired <= self.stillborn else "ready"
        self.events_to_come.append(Event(worker=self.hired, kind=kind, value="by SIGKILL"))  # type: ignore[arg-type]
        return self.hired

    def give(self, worker: int, task: object, tried: int) -> None:
        assert worker not in self.dead
        self.log.append((worker, task, tried))
        result = self.script(task, tried)
        if isinstance(result, Exception):
            event = Event(worker=worker, kind="failed", value=result)
        elif result is None:
            self.dead.add(worker)
            event = Event(worker=worker, kind="died", value="by SIGKILL")
        else:
            event = Event(worker=worker, kind="done", value=result)
        self.events_to_come.append(event)

    def events(self, seconds: float) -> list[Event]:
        return [self.events_to_come.popleft()] if self.events_to_come else []

    def open(self) -> None:
        self.opened = True

    def close(self) -> None:
        self.closed = True


def carry_out(
    crew: PlayedCrew, tasks: Iterator[int], warn: Callable[[str], None] = lambda text: None
) -> list[Finished[int, str]]:
    pool: Pool[int, str] = Pool(crew, warn)
    with pool:
        return list(pool.run(tasks))


def test_every_task_is_carried_out_once() -> None:
    crew = PlayedCrew(lambda task, tried: f"did {task}")
    found = carry_out(crew, iter(range(20)))
    assert {one.task: one.result for one in found} == {task: f"did {task}" for task in range(20)}
    assert len(found) == len(crew.log) == 20
    assert crew.hired == 2
    assert crew.opened
    assert crew.closed


def test_nobody_is_hired_for_nothing() -> None:
    crew = PlayedCrew(lambda task, tried: "done")
    assert carry_out(crew, iter(())) == []
    assert crew.hired == 0


def test_no_more_workers_are_hired_than_there_are_tasks() -> None:
    crew = PlayedCrew(lambda task, tried: "done", places=[100])
    assert len(carry_out(crew, iter(range(3)))) == 3
    assert crew.hired == 3


def test_each_death_is_told() -> None:
    told: list[str] = []
    carry_out(PlayedCrew(lambda task, tried: None if task == 1 and not tried else "done"), iter(range(3)), told.append)
    assert told == ["a worker died by SIGKILL; another one gets its task"]


def test_a_task_of_a_worker_that_died_is_tried_again_and_told_how_often() -> None:
    crew = PlayedCrew(lambda task, tried: None if task == 3 and tried < TRIES - 1 else "done")
    found = carry_out(crew, iter(range(6)))
    assert sorted(one.task for one in found) == list(range(6))
    assert all(one.result == "done" for one in found)
    assert [tried for _, task, tried in crew.log if task == 3] == list(range(TRIES))
    assert crew.hired == 2 + TRIES - 1


def test_a_task_that_kills_three_workers_is_set_aside_and_the_others_go_on() -> None:
    crew = PlayedCrew(lambda task, tried: None if task == 3 else "done")
    found = {one.task: one for one in carry_out(crew, iter(range(6)))}
    assert found[3].result is None
    assert found[3].reason == "set aside: 3 workers died of it, the last one by SIGKILL"
    assert all(found[task].result == "done" for task in (0, 1, 2, 4, 5))
    assert len([task for _, task, _ in crew.log if task == 3]) == TRIES


def test_workers_that_die_while_they_start_stop_the_run() -> None:
    crew = PlayedCrew(lambda task, tried: "done", stillborn=3)
    with pytest.raises(RobenchError, match="3 workers in a row died while they started, the last one by SIGKILL"):
        carry_out(crew, iter(range(6)))
    assert crew.closed


def test_two_workers_may_die_while_they_start() -> None:
    crew = PlayedCrew(lambda task, tried: "done", stillborn=2)
    assert len(carry_out(crew, iter(range(6)))) == 6


def test_what_a_worker_raises_stops_the_run() -> None:
    crew = PlayedCrew(lambda task, tried: UsageError("no weights") if task == 1 else "done")
    with pytest.raises(UsageError, match="no weights"):
        carry_out(crew, iter(range(6)))
    assert crew.closed


def test_workers_of_a_machine_that_comes_late_get_tasks() -> None:
    crew = PlayedCrew(lambda task, tried: "done", places=[1, 1, 1, 3])
    found = carry_out(crew, iter(range(30)))
    assert len(found) == 30
    assert {worker for worker, _, _ in crew.log} == {1, 2, 3}


def test_tasks_are_asked_for_when_they_can_be_done() -> None:
    asked: list[int] = []

    def tasks() -> Iterator[int]:
        for task in range(10):
            asked.append(task)
            yield task

    ahead: list[int] = []

    def work(task: int, tried: int) -> str:
        ahead.append(len(asked) - len(crew.log))
        return "done"

    crew = PlayedCrew(work)
    carry_out(crew, tasks())
    assert max(ahead) <= 1


def test_here_a_task_is_done_before_the_next_is_asked_for() -> None:
    order: list[str] = []

    def tasks() -> Iterator[int]:
        for task in range(3):
            order.append(f"asked {task}")
            yield task

    def work(task: int, tried: int) -> int:
        order.append(f"did {task}")
        return task

    with Local(work) as local:
        assert [one.result for one in local.run(tasks())] == [0, 1, 2]
    assert order == ["asked 0", "did 0", "asked 1", "did 1", "asked 2", "did 2"]
