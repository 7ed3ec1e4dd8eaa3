"""What a worker process does: build what carries out tasks, then carry out one after the other."""

from __future__ import annotations

import os
import pickle
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from robench.executors.messages import packed_error

if TYPE_CHECKING:
    from robench.executors.executor import Work

_LOOK_SECONDS = 1.0


def serve(descriptor: int) -> None:
    """Serve the process at the other end of a connection until it is gone.

    Args:
        descriptor: Of our end of the connection.
    """
    connection = Connection(descriptor)
    inbox: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(connection, inbox, os.getppid()), daemon=True).start()
    try:
        work: Work[Any, Any] = pickle.loads(inbox.get())(_fetch)  # noqa: S301 (from the process that started this one)
        _say(connection, "ready")
        while True:
            task, tried = pickle.loads(inbox.get())  # noqa: S301
            _say(connection, "done", work(task, tried))
    except BaseException as error:  # noqa: BLE001 (the other side raises it)
        connection.send_bytes(packed_error(error))


def _fetch() -> bytes:
    message = "a process of the same machine has all that it needs"
    raise RuntimeError(message)


def _say(connection: Connection, kind: str, value: object = None) -> None:
    # Not connection.send, which would share the memory of tensors with a process that may outlive this one.
    connection.send_bytes(pickle.dumps((kind, value), protocol=pickle.HIGHEST_PROTOCOL))


def _listen(connection: Connection, inbox: SimpleQueue[bytes], parent: int) -> None:
    """Receive messages. End this process when the other one is gone, whatever is under way: nobody wants it."""
    try:
        while os.getppid() == parent:
            if connection.poll(_LOOK_SECONDS):
                inbox.put(connection.recv_bytes())
    except (EOFError, OSError):
        pass
    os._exit(0)
