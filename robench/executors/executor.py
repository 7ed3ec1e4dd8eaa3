"""What every executor promises, and the one that needs nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from types import TracebackType

T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Work(Protocol[T_contra, R_co]):
    """Carries out tasks, one after the other."""

    def __call__(self, task: T_contra, tried: int) -> R_co:
        """Carry out a task.

        Args:
            task: What to do.
            tried: How often it was begun before, by workers that died of it.

        Raises:
            RobenchError: If nothing that follows could succeed either: the run stops.
        """


@dataclass(frozen=True, kw_only=True)
class Finished(Generic[T, R]):
    """A task that will not be tried again.

    Attributes:
        task: What was to be done.
        result: What came of it; None if it was set aside.
        reason: Why it was set aside, else empty.
    """

    task: T
    result: R | None
    reason: str = ""


class Executor(Protocol[T, R]):
    """Has tasks carried out. A context manager: workers live until it ends, and no longer."""

    @property
    def in_process(self) -> bool:
        """Whether tasks are carried out here, one after the other, each before the next is asked for."""

    @property
    def workers(self) -> int:
        """How many tasks can be under way at once; may change, as machines come and go."""

    def run(self, tasks: Iterator[T]) -> Generator[Finished[T, R], None, None]:
        """Carry out tasks.

        Args:
            tasks: Asked for the next one whenever a worker is free, so that they may depend on what came of others.

        Yields:
            Every task, as they end.

        Raises:
            RobenchError: If a worker raises it, or workers cannot be had.
        """

    def __enter__(self) -> Self:
        """Get ready."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all workers at once, whatever they are doing."""


class Local(Generic[T, R]):
    """Carries out tasks in this process.

    Args:
        work: Does it.
    """

    in_process = True
    workers = 1

    def __init__(self, work: Work[T, R]) -> None:
        self._work = work

    def run(self, tasks: Iterator[T]) -> Generator[Finished[T, R], None, None]:
        """Carry out tasks one by one."""
        for task in tasks:
            yield Finished(task=task, result=self._work(task, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass
