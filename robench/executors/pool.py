"""Workers in processes of their own: who gets which task, and what becomes of the tasks of those that die."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, Self, TypeVar

from robench.errors import RobenchError
from robench.executors.executor import Finished

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import TracebackType

T = TypeVar("T")
R = TypeVar("R")

TRIES = 3
"""How many workers may die of a task before it is set aside."""

_STILLBORN = 3
"""Workers that may die one after the other before any of them is ready."""

_LOOK_SECONDS = 1.0
"""How often a pool looks whether there may be more workers, or fewer."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a worker.

    Attributes:
        worker: Its number.
        kind: ``ready`` for tasks; ``done`` with one; ``failed``, which stops everything; ``died``.
        value: The result, the exception, or a few words on how it died.
    """

    worker: int
    kind: Literal["ready", "done", "failed", "died"]
    value: Any = None


class Crew(Protocol):
    """Starts workers and talks to them. What to do with them is for the pool to say."""

    def wanted(self) -> int:
        """Return how many workers there can be now."""

    def brief(self, factory: bytes, supplies: Callable[[], bytes]) -> None:
        """Take what makes a worker.

        Args:
            factory: A pickled function that returns its ``Work``. It is called where the worker is, with a function
                that fetches the supplies.
            supplies: Packs what workers on other machines need.
        """

    def hire(self) -> int:
        """Start a worker and return its number, which no other one had."""

    def give(self, worker: int, task: object, tried: int) -> None:
        """Give a task to a worker that is ready."""

    def events(self, seconds: float) -> list[Event]:
        """Wait for the next events, but no longer than this."""

    def open(self) -> None:
        """Get ready to hire.

        Raises:
            RobenchError: If that is impossible, or so many workers can never be had.
        """

    def close(self) -> None:
        """End all workers at once, whatever they are doing."""


@dataclass(kw_only=True)
class _Attempt(Generic[T]):
    task: T
    tried: int = 0


class _Queue(Generic[T]):
    """Tasks that wait, those to be tried again first. Few are asked for ahead, lest workers are hired for nothing."""

    def __init__(self, tasks: Iterator[T]) -> None:
        self._tasks = tasks
        self._attempts: deque[_Attempt[T]] = deque()

    def has(self, most: int) -> int:
        """Return how many tasks there are, up to a number."""
        missing = max(0, most - len(self._attempts))
        self._attempts.extend(_Attempt(task=task) for task in islice(self._tasks, missing))
        return min(most, len(self._attempts))

    def take(self) -> _Attempt[T]:
        return self._attempts.popleft()

    def put_back(self, attempt: _Attempt[T]) -> None:
        self._attempts.appendleft(attempt)


class Pool(Generic[T, R]):
    """Hands tasks to workers of a crew. A worker that dies is replaced, and its task is given to another one.

    Args:
        crew: Its workers.
        warn: Told of each worker that dies.
    """

    in_process = False

    def __init__(self, crew: Crew, warn: Callable[[str], None]) -> None:
        self._crew, self._warn = crew, warn
        self._starting: set[int] = set()
        self._free: deque[int] = deque()
        self._busy: dict[int, _Attempt[T]] = {}
        self._stillborn = 0

    @property
    def workers(self) -> int:
        """How many tasks can be under way at once."""
        return max(1, self._crew.wanted())

    def brief(self, factory: bytes, supplies: Callable[[], bytes]) -> None:
        """Take what makes a worker, before the first task; see ``Crew.brief``."""
        self._crew.brief(factory, supplies)

    def run(self, tasks: Iterator[T]) -> Generator[Finished[T, R], None, None]:
        """Carry out tasks; the next one is asked for when a worker is free."""
        queue = _Queue(tasks)
        while queue.has(1) or self._busy:
            self._hire(queue)
            while self._free and queue.has(1):
                self._assign(queue.take())
            for event in self._crew.events(_LOOK_SECONDS):
                ended = self._hear(event)
                if ended is not None and event.kind == "done":
                    yield Finished(task=ended.task, result=event.value)
                elif ended is not None and ended.tried < TRIES:
                    self._warn(f"a worker died {event.value}; another one gets its task")
                    queue.put_back(ended)
                elif ended is not None:
                    reason = f"set aside: {TRIES} workers died of it, the last one {event.value}"
                    yield Finished(task=ended.task, result=None, reason=reason)

    def _hire(self, queue: _Queue[T]) -> None:
        """Start as many workers as there can be, but no more than there are tasks for."""
        idle = len(self._starting) + len(self._free)
        room = self._crew.wanted() - len(self._busy)
        if idle < room:
            self._starting.update(self._crew.hire() for _ in range(queue.has(room) - idle))

    def _assign(self, attempt: _Attempt[T]) -> None:
        worker = self._free.popleft()
        self._busy[worker] = attempt
        self._crew.give(worker, attempt.task, attempt.tried)

    def _hear(self, event: Event) -> _Attempt[T] | None:
        """Take note of an event, and return the task that it ended.

        Raises:
            RobenchError: If a worker raised it, or workers die before they are ready.
        """
        if event.kind == "failed":
            raise event.value
        attempt = self._busy.pop(event.worker, None)
        if event.kind in {"ready", "done"}:
            self._starting.discard(event.worker)
            self._free.append(event.worker)
            self._stillborn = 0
            return attempt
        if attempt is not None:
            attempt.tried += 1
        elif event.worker in self._starting:
            self._starting.remove(event.worker)
            self._stillborn += 1
            if self._stillborn >= _STILLBORN:
                message = f"{_STILLBORN} workers in a row died while they started, the last one {event.value}"
                raise RobenchError(message, "free memory, take fewer --workers, or use --executor local")
        else:
            self._free.remove(event.worker)
        return attempt

    def __enter__(self) -> Self:
        self._crew.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._crew.close()
