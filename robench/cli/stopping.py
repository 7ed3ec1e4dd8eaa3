"""Ctrl-C and termination, turned into an exception that no library mistakes for its own, and never ignored for long."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from robench.cli.context import command_line

PATIENCE_SECONDS = 4.0
"""How long what is under way may take to be stored or dropped."""

TOGETHER_SECONDS = 1.0
"""Within which signals are one: schedulers send several in a row."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """The user or the system asked the program to stop.

    Attributes:
        exit_code: 128 plus the signal's number, as shells expect.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def farewell() -> str:
    """Return the line that says how to go on."""
    return f"\nstopped; what was finished is stored. To go on: {command_line()}\n"


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise ``Stopped`` at SIGINT and SIGTERM. A later signal ends the process at once: somebody swallowed the first.

    Python runs handlers between two of its own instructions only. A wait for a lock, a name server or a long kernel may
    keep it from the next one, so a thread ends the process if the block has not ended by itself some seconds after the
    signal. Neither way loses anything: what is stored was committed, and the same command resumes.
    """

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        for other in before:
            signal.signal(other, ignore)
        raise Stopped(number)

    def ignore(number: int, frame: FrameType | None) -> None:
        """Leave it to the thread. No SIG_IGN or SIG_DFL, of which Python complains if both signals came at once."""

    ended = threading.Event()
    arrivals, announcer = socket.socketpair()
    announcer.setblocking(False)
    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    woken = signal.set_wakeup_fd(announcer.fileno(), warn_on_full_buffer=False)
    watch = threading.Thread(target=_end_late, args=(arrivals, ended), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        announcer.close()
        watch.join()
        arrivals.close()


def _end_late(arrivals: socket.socket, ended: threading.Event) -> None:
    """Wait for a signal, which the C library announces whatever Python is doing, then for the end of the block."""
    first = 0
    while not first:
        arrived = arrivals.recv(1)
        if not arrived:
            return
        first = arrived[0] if arrived[0] in _SIGNALS else 0
    begun = time.monotonic()
    while (left := begun + PATIENCE_SECONDS - time.monotonic()) > 0:
        arrivals.settimeout(left)
        try:
            arrived = arrivals.recv(1)
        except TimeoutError:
            break
        if not arrived:
            return
        if arrived[0] in _SIGNALS and time.monotonic() - begun > TOGETHER_SECONDS:
            break
    if not ended.is_set():
        os.write(sys.stderr.fileno(), farewell().encode())
        os._exit(128 + first)
