"""What keeps a plugin's manners from harming others: a time limit, and stdout that is for results only."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from robench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

TIMEOUT_VARIABLE = "ROBENCH_PLUGIN_TIMEOUT"
DEFAULT_TIMEOUT = 10.0
"""Seconds. Most plugins load within milliseconds; one that imports torch needs some seconds on a slow disk."""

_AGAIN = 1.0
"""Seconds after which a plugin that has swallowed the interruption is interrupted once more."""


class SlowPluginError(BaseException):
    """A plugin was interrupted. No ``Exception``, which a plugin might catch as if it were its own."""


def seconds_allowed(environ: Mapping[str, str]) -> float:
    """Return how many seconds a plugin may take to load.

    Raises:
        UsageError: If the environment names no positive number.
    """
    text = environ.get(TIMEOUT_VARIABLE, "").strip()
    try:
        seconds = float(text) if text else DEFAULT_TIMEOUT
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        message = f"{TIMEOUT_VARIABLE}: {text!r} is no number of seconds"
        raise UsageError(message, f"give a positive number, such as {DEFAULT_TIMEOUT:g}")
    return seconds


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt what sleeps, waits or loops for too long.

    It works in the main thread, the only one that Python interrupts by signals; elsewhere there is no limit. Code of
    another language that does not return to Python is interrupted only when it does.

    Args:
        seconds: The limit, positive.

    Raises:
        SlowPluginError: If the limit is reached.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        message = f"not loaded after {seconds:g} s; {TIMEOUT_VARIABLE} sets another limit"
        raise SlowPluginError(message)

    handler = signal.signal(signal.SIGALRM, interrupt)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    begun = time.monotonic()
    try:
        yield
    finally:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        except SlowPluginError:  # it was done just when the time was up; the next interruption is a second away
            signal.setitimer(signal.ITIMER_REAL, 0)
        # Whoever had set the only timer of the process gets it back, and soon where it is due by now.
        rest = max(left - (time.monotonic() - begun), 1e-3) if left else 0
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, rest, interval)


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send to stderr what is printed, and what libraries and subprocesses write to file descriptor 1."""
    if sys.stdout is None or sys.stderr is None:  # the program was started with one of them closed
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        # What waits in a buffer, of Python's own stdout or of C, must not come out after stdout is back.
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
        ctypes.CDLL(None).fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
