"""How long work tells of itself. The command line renders it; without a listener nothing is shown."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Task(Protocol):
    """One piece of long work under way."""

    def update(self, done: int, detail: str = "") -> None:
        """Say how many units are done, and optionally what the last ones were like (losses, accuracy)."""


class Progress(Protocol):
    """Listens to long work."""

    def note(self, text: str) -> None:
        """Show one line that stays."""

    def warn(self, text: str) -> None:
        """Show one line that stays, and that nobody may miss: something failed, or is not as one would expect."""

    def task(self, title: str, total: int, unit: str) -> AbstractContextManager[Task]:
        """Begin work of ``total`` units; rate and time left are the listener's to work out."""


class _SilentTask:
    def update(self, done: int, detail: str = "") -> None:
        pass


class Silent:
    """Listens and says nothing."""

    def note(self, text: str) -> None:
        """Ignore the line."""

    def warn(self, text: str) -> None:
        """Take it for a note."""
        self.note(text)

    def task(self, title: str, total: int, unit: str) -> AbstractContextManager[Task]:  # noqa: ARG002
        """Begin work that nobody watches."""
        return nullcontext(_SilentTask())
