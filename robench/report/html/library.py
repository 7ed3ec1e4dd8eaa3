"""The program that draws charts in a browser, which takes a second or two to be put together."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import vl_convert

from robench.errors import RobenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def bundle_library() -> str:
    """Return the program that draws charts in a browser: Vega-Lite with all it needs. Takes seconds."""
    return str(vl_convert.javascript_bundle(snippet="window.vegaEmbed = vegaEmbed;"))


@contextmanager
def bundling() -> Iterator[Callable[[], str]]:
    """Do the same beside what else there is to do, and yield a function that waits for it and returns it.

    A process does it: a thread would keep all others from running.

    Raises:
        RobenchError: The process ended before it was done.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_leave_interrupts) as pool:
        try:
            bundle = pool.submit(bundle_library)
        except OSError as error:  # it has gone before it was told what to do
            raise _gone() from error

        def wait() -> str:
            try:
                return bundle.result()
            except BrokenExecutor as error:
                raise _gone() from error

        yield wait


def _gone() -> RobenchError:
    message = "the process that puts the charts of the page together ended before it was done"
    return RobenchError(message, f"see that you may start {sys.executable} and that there is memory left")


def _leave_interrupts() -> None:
    """Ctrl-C goes to all processes of a terminal; who waits for this one says what became of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
