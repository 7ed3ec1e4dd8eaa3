"""What an actor of Ray does: build what carries out tasks, then carry out one after the other."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING, Any

from robench.executors.messages import packed_error
from robench.processes import this_machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.executors.executor import Work


class RayWorker:
    """Serves a driver until that kills it, or is gone: Ray ends the actors of a driver with it.

    Every answer is the pickled kind and value of an event: Ray would wrap exceptions of ours in its own.
    """

    def __init__(self) -> None:
        self._work: Work[Any, Any] | None = None

    def start(self, factory: bytes, supplies: Sequence[Any], machine: str, path: Sequence[str]) -> bytes:
        """Build what carries out tasks.

        Args:
            factory: Pickled; see ``Crew.brief``.
            supplies: Reference to what other machines than the driver's need; in a list, lest Ray fetches it here.
            machine: That of the driver.
            path: Where the driver finds modules. On its own machine they are found there, too.
        """
        if machine == this_machine():
            sys.path += [folder for folder in path if folder not in sys.path]

        def fetch() -> bytes:
            import ray

            return bytes(ray.get(supplies[0]))

        try:
            self._work = pickle.loads(factory)(fetch)  # noqa: S301 (from the driver that started this actor)
        except BaseException as error:  # noqa: BLE001 (the driver raises it)
            return packed_error(error)
        return pickle.dumps(("ready", None))

    def carry_out(self, message: bytes) -> bytes:
        """Carry out a task."""
        try:
            if self._work is None:
                return packed_error(RuntimeError("a task came before the worker was ready"))
            task, tried = pickle.loads(message)  # noqa: S301
            return pickle.dumps(("done", self._work(task, tried)), protocol=pickle.HIGHEST_PROTOCOL)
        except BaseException as error:  # noqa: BLE001
            return packed_error(error)
