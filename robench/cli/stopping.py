"""Ctrl-C and termination, turned into one exception that no library mistakes for its own."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """The user or the system asked the program to stop.

    Attributes:
        exit_code: 128 plus the signal's number, as shells expect.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise ``Stopped`` at SIGINT and SIGTERM. A second signal ends the process at once: somebody swallowed the first.

    That loses nothing: what is stored was committed, and the same command resumes.
    """

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        for other in before:
            signal.signal(other, signal.SIG_DFL)
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
