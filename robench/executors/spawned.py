"""Workers that are processes of this machine."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from robench.executors.pool import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from robench.executors.child import serve; serve(int(sys.argv[2]))"
)
_STDERR = 2
_GONE_SECONDS = 5.0
"""How long a process that has closed its connection may take to be gone."""


@dataclass(frozen=True, kw_only=True)
class _Hand:
    place: int
    process: subprocess.Popen[bytes]
    connection: Connection


class SpawnedCrew:
    """Starts fresh interpreters, which import what this one can. They end when this process does, however it ends.

    Args:
        places: For each worker the environment variables that it has beside those of this process.
    """

    def __init__(self, places: Sequence[Mapping[str, str]]) -> None:
        self._places = places
        self._hands: dict[int, _Hand] = {}
        self._count = 0
        self._factory = b""

    def wanted(self) -> int:
        """Return how many workers there can be: as many as places."""
        return len(self._places)

    def brief(self, factory: bytes, supplies: Callable[[], bytes]) -> None:  # noqa: ARG002 (all is on this machine)
        """Take what makes a worker."""
        self._factory = factory

    def hire(self) -> int:
        """Start a process on a free place."""
        place = min(set(range(len(self._places))) - {hand.place for hand in self._hands.values()})
        mine, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: S603 (this very interpreter)
                [sys.executable, "-c", _START, json.dumps(sys.path), str(theirs.fileno())],
                env={**os.environ, **self._places[place]},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=_STDERR,  # what plugins print is no result
                start_new_session=True,  # a Ctrl-C is for this process, which ends them
            )
        connection = Connection(mine.detach())
        self._count += 1
        self._hands[self._count] = _Hand(place=place, process=process, connection=connection)
        self._send(self._count, self._factory)
        return self._count

    def give(self, worker: int, task: object, tried: int) -> None:
        """Send a task."""
        self._send(worker, pickle.dumps((task, tried)))

    def _send(self, worker: int, message: bytes) -> None:
        try:
            self._hands[worker].connection.send_bytes(message)
        except OSError:
            return  # it has just died, which the next look at its connection tells

    def events(self, seconds: float) -> list[Event]:
        """Wait for messages and deaths."""
        numbers = {hand.connection: number for number, hand in self._hands.items()}
        heard = wait(list(numbers), seconds)
        return [self._hear(numbers[connection]) for connection in heard if isinstance(connection, Connection)]

    def _hear(self, worker: int) -> Event:
        try:
            kind, value = pickle.loads(self._hands[worker].connection.recv_bytes())  # noqa: S301 (from our own child)
        except (EOFError, OSError, pickle.UnpicklingError):
            return Event(worker=worker, kind="died", value=self._bury(worker))
        return Event(worker=worker, kind=kind, value=value)

    def _bury(self, worker: int) -> str:
        hand = self._hands.pop(worker)
        hand.connection.close()
        try:
            status = hand.process.wait(_GONE_SECONDS)
        except subprocess.TimeoutExpired:
            hand.process.kill()
            status = hand.process.wait()
        return f"by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"

    def open(self) -> None:
        """Do nothing: processes are started when there is something to do."""

    def close(self) -> None:
        """Kill all processes: they hold nothing that anybody needs."""
        for hand in self._hands.values():
            hand.process.kill()
        for hand in self._hands.values():
            hand.process.wait()
            hand.connection.close()
        self._hands = {}
