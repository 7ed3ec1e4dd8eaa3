"""Workers on a Ray cluster, or on one that is started on this machine."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError, UsageError
from robench.executors.pool import Event
from robench.executors.ray_worker import RayWorker
from robench.processes import this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anybody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""By this Ray keeps a cluster of one machine to 127.0.0.1, as on those systems; else it takes a card's address."""

_STORE_BYTES = 2**28
"""Of a cluster on this machine: results wait there for a moment."""

_COUNT_SECONDS = 1.0
"""How long a count of the cluster's resources is believed."""

_REACH_SECONDS = 10.0
"""How long an address may take to answer."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Let through what the handler of a signal raises in the middle of a call to Ray, which would wrap it.

    Raises:
        BaseException: What was wrapped.
    """
    try:
        yield
    except SystemError as error:
        if error.__cause__ is None:
            raise
        raise error.__cause__ from None


@dataclass(kw_only=True)
class _Hand:
    actor: Any
    answer: Any


class RayCrew:
    """Actors of Ray, one for each GPU, or for each CPU where none is needed.

    There are as many as the cluster has room for: a node that joins is used, the workers of one that is lost are dead.

    Args:
        address: ``auto`` or ``HOST:PORT``; None to start a cluster on this machine, which ends with the crew.
        workers: At most so many; None for as many as there is room for.
        gpu: Whether each needs a GPU.
        here: CPUs and GPUs of a cluster that is started here.
    """

    def __init__(self, address: str | None, workers: int | None, *, gpu: bool, here: tuple[int, int]) -> None:
        self._address, self._most, self._here = address, workers, here
        self._resource = "GPU" if gpu else "CPU"
        self._gpu = gpu
        self._hands: dict[int, _Hand] = {}
        self._count = 0
        self._room, self._counted = 0, 0.0
        self._folder: str | None = None
        self._connected = False
        self._briefing: tuple[Any, list[Any]] = (None, [])

    def open(self) -> None:
        """Connect, and see whether there is room.

        Raises:
            UsageError: If Ray is not installed, or so many workers can never be had.
            RobenchError: If there is no cluster at the address.
        """
        variables = {**_QUIET, **(_LOOPBACK if self._address is None else {})}
        os.environ.update({name: value for name, value in variables.items() if name not in os.environ})
        try:
            import ray
        except ImportError as error:
            message = "--executor ray: Ray is not installed"
            raise UsageError(message, 'pip install "robench[ray]"') from error
        if not ray.is_initialized():
            with _own_handlers():
                self._connect(ray)
        room = self._count_room()
        if room < (self._most or 1):
            self.close()
            message = (
                f"--executor ray: {self._most or 1} workers need a {self._resource} each, and the cluster has {room}"
            )
            hint = f"ask for at most {room} --workers" if room else "use --device cpu, or a cluster with GPUs"
            raise UsageError(message, hint)

    def _connect(self, ray: Any) -> None:  # noqa: ANN401 (a module)
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if self._address is not None:
                _reach(self._address)
                ray.init(address=self._address, **quiet)
            else:
                self._folder = tempfile.mkdtemp(prefix="robench-ray-")
                ray.init(
                    address="local",
                    num_cpus=self._here[0],
                    num_gpus=self._here[1],
                    include_dashboard=False,
                    object_store_memory=_STORE_BYTES,
                    _temp_dir=self._folder,
                    **quiet,
                )
        except (RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
            self._remove_folder()
            where = "a cluster on this machine" if self._address is None else f"--ray-address {self._address}"
            message = f"{where}: Ray cannot connect: {_first_line(error)}"
            raise RobenchError(
                message, "ray status says whether a cluster runs; ray start --head starts one"
            ) from error
        self._connected = True

    @stoppable()
    def wanted(self) -> int:
        """Return how many workers the cluster has room for, up to those asked for."""
        if time.monotonic() - self._counted > _COUNT_SECONDS:
            self._room, self._counted = self._count_room(), time.monotonic()
        return self._room if self._most is None else min(self._room, self._most)

    def _count_room(self) -> int:
        import ray

        return int(ray.cluster_resources().get(self._resource, 0))

    @stoppable()
    def brief(self, factory: bytes, supplies: Callable[[], bytes]) -> None:
        """Take what makes a worker. What other machines need goes to each of them once, through Ray's object store."""
        import ray

        self._briefing = (factory, [] if self._folder is not None else [ray.put(supplies())])

    @stoppable()
    def hire(self) -> int:
        """Start an actor; Ray finds a place for it."""
        import ray

        factory, supplies = self._briefing
        needs = {"num_cpus": 1, "num_gpus": int(self._gpu), "max_restarts": 0, "max_task_retries": 0}
        actor = ray.remote(RayWorker).options(**needs).remote()
        self._count += 1
        answer = actor.start.remote(factory, supplies, this_machine(), sys.path)
        self._hands[self._count] = _Hand(actor=actor, answer=answer)
        return self._count

    @stoppable()
    def give(self, worker: int, task: object, tried: int) -> None:
        """Send a task."""
        hand = self._hands[worker]
        hand.answer = hand.actor.carry_out.remote(pickle.dumps((task, tried)))

    @stoppable()
    def events(self, seconds: float) -> list[Event]:
        """Wait for answers and deaths."""
        import ray

        numbers = {hand.answer: number for number, hand in self._hands.items() if hand.answer is not None}
        if not numbers:
            time.sleep(seconds)
            return []
        heard, _ = ray.wait(list(numbers), num_returns=1, timeout=seconds)
        return [self._hear(numbers[answer]) for answer in heard]

    def _hear(self, worker: int) -> Event:
        import ray

        hand = self._hands[worker]
        try:
            kind, value = pickle.loads(ray.get(hand.answer))  # noqa: S301 (from our own actor)
        except ray.exceptions.RayError as error:  # whatever it is, the answer will not come any more
            ray.kill(self._hands.pop(worker).actor)
            return Event(worker=worker, kind="died", value=f"with {_first_line(error)}")
        hand.answer = None
        return Event(worker=worker, kind=kind, value=value)

    def close(self) -> None:
        """Kill all actors, and the cluster if it is ours."""
        if "ray" not in sys.modules:
            return
        import ray

        for hand in self._hands.values():
            ray.kill(hand.actor)
        self._hands = {}
        if self._connected:
            ray.shutdown()
            self._connected = False
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _reach(address: str) -> None:
    """Try an address, since Ray would try for minutes. For ``auto`` Ray goes where RAY_ADDRESS says, if it says so.

    Raises:
        OSError: If nobody listens there.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or "auto"
    host, _, port = address.rpartition(":")
    if not port.isdigit():  # a name, or a form of address that only Ray knows
        return
    socket.create_connection((host, int(port)), timeout=_REACH_SECONDS).close()


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextmanager
def _own_handlers() -> Iterator[None]:
    """Keep the handlers of signals as they are: Ray puts its own in the place of ours."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            try:
                signal.signal(number, handler)
            except (ValueError, TypeError):  # not the main thread, where Ray sets none either
                break
