"""How the filling of a run is shown: sweep by sweep where one follows another, as a whole where many are under way."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from robench.api.records import CLEAN

if TYPE_CHECKING:
    from types import TracebackType

    from robench.engine.plan import Sweep
    from robench.engine.progress import Progress, Task


class _BrokenOffError(Exception):
    """Tells a listener that work did not come to its end, so that it says nothing of how long it took."""


class View:
    """Shows each sweep while it is under way. A context manager.

    Args:
        progress: Listens.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stack = ExitStack()
        self._task: Task | None = None
        self._done = 0

    def begin(self, sweep: Sweep, done: int, total: int) -> None:
        """Begin a sweep of which so many outcomes are stored already."""
        self._open(f"{sweep.defense}: {title(sweep)}", done, total)

    def add(self, outcomes: int) -> None:
        """Count new outcomes."""
        self._done += outcomes
        if self._task is not None:
            self._task.update(self._done)

    def end(self) -> None:
        """Show that the sweep is done, unless it was broken off."""
        self._task = None
        self._stack.close()

    def break_off(self) -> None:
        """End a sweep that has failed."""
        error = _BrokenOffError()
        self._task = None
        self._stack.__exit__(type(error), error, None)

    def _open(self, text: str, done: int, total: int) -> None:
        self._task = self._stack.enter_context(self._progress.task(text, total, "outcomes"))
        self._done = done
        self._task.update(done)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


class WholeView(View):
    """Shows all sweeps as one, since several are under way.

    Args:
        progress: Listens.
        text: What it is called.
        done: Outcomes that are stored already.
        total: Outcomes of all sweeps.
    """

    def __init__(self, progress: Progress, text: str, done: int, total: int) -> None:
        super().__init__(progress)
        self._open(text, done, total)

    def begin(self, sweep: Sweep, done: int, total: int) -> None:
        """Change nothing: it is shown already."""

    def end(self) -> None:
        """Change nothing: others are under way."""

    def break_off(self) -> None:
        """Change nothing: others are under way."""


def title(sweep: Sweep) -> str:
    """Return what people call a sweep of a defense."""
    if sweep.attack == CLEAN:
        return CLEAN
    first, last = sweep.cells[0].epsilon, sweep.cells[-1].epsilon
    return f"{sweep.attack} eps {first}" + (f" to {last}" if len(sweep.cells) > 1 else "")
