"""The program's stdout, whose failures are told like all others."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from robench.errors import RobenchError


class _Output(io.TextIOWrapper):
    """Says which of all files it was that could not be written."""

    def write(self, text: str) -> int:
        with _explained():
            return super().write(text)

    def flush(self) -> None:
        with _explained():
            super().flush()


@contextmanager
def explain_stdout() -> Iterator[None]:
    """Let stdout raise ``RobenchError`` where it cannot be written, at the end of the block at the latest.

    A reader that has gone is no such failure: it raises ``BrokenPipeError`` as ever.

    Raises:
        RobenchError: If what was printed could not be written.
    """
    if not isinstance(sys.stdout, io.TextIOWrapper):  # replaced by whoever calls us
        yield
        return
    before = sys.stdout
    encoding, errors, by_lines = before.encoding, before.errors, before.line_buffering
    # Under both names, or what waits in one of them would be written when nobody listens any more.
    sys.stdout = sys.__stdout__ = _Output(  # type: ignore[misc]  # it is final for those who only print
        before.detach(), encoding=encoding, errors=errors, line_buffering=by_lines
    )
    try:
        yield
    finally:
        sys.stdout.flush()


def give_up_stdout() -> None:
    """Drop what waits to be written: Python would complain once more when it flushes at exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def occupy_stdout() -> None:
    """Open a closed stdout on nothing, before any file takes its place and gets what is printed."""
    if sys.stdout is not None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != 1:
        os.dup2(nowhere, 1)
        os.close(nowhere)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8")  # type: ignore[misc]


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        give_up_stdout()
        message = f"cannot write the output: {error.strerror or error}"
        raise RobenchError(message) from error
