"""Progress on stderr: a live bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from robench.engine.progress import Task

_SECONDS_BETWEEN_LINES = 10.0


class TerminalProgress:
    """Shows long work with rate and time left.

    Args:
        stream: Usually stderr.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def note(self, text: str) -> None:
        """Show one line that stays."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def warn(self, text: str) -> None:
        """Show one line that stays."""
        self.note(text)

    def task(self, title: str, total: int, unit: str) -> "AbstractContextManager[Task]":
        """Begin work of ``total`` units."""
        return self._bar(title, total, unit) if self._stream.isatty() else self._lines(title, total, unit)

    @contextmanager
    def _lines(self, title: str, total: int, unit: str) -> "Iterator[Task]":
        task = LineTask(self, title, total, unit)
        yield task
        task.close()

    @contextmanager
    def _bar(self, title: str, total: int, unit: str) -> "Iterator[Task]":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} " + unit, markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
        )
        console = Console(file=self._stream)
        with Progress(*columns, console=console) as progress:
            identifier = progress.add_task(title, total=total, detail="")
            clock = _Clock(unit)

            class BarTask:
                def update(self, done: int, detail: str = "") -> None:
                    progress.update(identifier, completed=done, detail=detail or clock.rate(done))

            yield BarTask()


class WarningsOnly:
    """Shows what nobody may miss, and no progress.

    Args:
        stream: Usually stderr.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def note(self, text: str) -> None:
        """Ignore the line."""

    def warn(self, text: str) -> None:
        """Show one line that stays."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def task(self, title: str, total: int, unit: str) -> "AbstractContextManager[Task]":
        """Begin work that nobody watches."""
        from robench.engine.progress import Silent

        return Silent().task(title, total, unit)


class _Clock:
    """Rate and time left; what was done before the first update (a resumed part) does not count as speed."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.begun = time.monotonic()
        self.first: int | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def speed(self, done: int) -> float:
        if self.first is None:
            self.first = done
        return (done - self.first) / max(self.seconds, 1e-9)

    def rate(self, done: int) -> str:
        speed = self.speed(done)
        text = f"{speed:,.0f}" if speed >= 1 else f"{speed:.1g}"
        return f"{text} {self.unit.removesuffix('s') if text == '1' else self.unit}/s" if speed > 0 else ""

    def left(self, done: int, total: int) -> str:
        speed = self.speed(done)
        return f"{(total - done) / speed:,.0f} s left" if speed > 0 else ""


class LineTask:
    """Writes a line every few seconds and one at the end."""

    def __init__(self, progress: TerminalProgress, title: str, total: int, unit: str) -> None:
        self._progress, self._title, self._total, self._unit = progress, title, total, unit
        self._clock = _Clock(unit)
        self._shown = self._clock.begun
        self._done, self._detail = 0, ""

    def update(self, done: int, detail: str = "") -> None:
        """Say how many units are done."""
        self._done, self._detail = done, detail
        rate = self._clock.rate(done)
        if done < self._total and time.monotonic() - self._shown > _SECONDS_BETWEEN_LINES:
            self._shown = time.monotonic()
            parts = [f"{done:,} of {self._total:,} {self._unit}", rate, self._clock.left(done, self._total), detail]
            self._progress.note(f"{self._title}: {', '.join(part for part in parts if part)}")

    def close(self) -> None:
        """Say that the work is done and how long it took."""
        count = f"{self._total:,}" if self._done in {0, self._total} else f"{self._done:,} of {self._total:,}"
        parts = [f"{count} {self._unit} in {self._clock.seconds:.1f} s", self._detail]
        self._progress.note(f"{self._title}: {', '.join(part for part in parts if part)}")
