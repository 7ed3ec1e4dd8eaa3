"""Transactions that no signal cuts in two."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_HELD = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_held() -> Iterator[None]:
    """Postpone SIGINT and SIGTERM to the end of the block.

    A handler may raise between any two instructions. Inside of SQLAlchemy or the driver that can leave a connection
    open with its locks, on which whoever then records the interruption waits in vain. A transaction is over in
    milliseconds. Blocking the signals in this thread is not enough: the system would hand them to another, and Python
    runs all handlers in the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers never run here
        return
    arrived: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        arrived.append(number)

    before = {number: signal.signal(number, hold) for number in _HELD}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if arrived:
            signal.raise_signal(arrived[0])
