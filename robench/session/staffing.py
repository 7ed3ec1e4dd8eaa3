"""Who does the work of a run. What can never be had is refused before anything is trained."""

from __future__ import annotations

import os
import pickle
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import torch

from robench.api import UsageError
from robench.executors.pool import Pool
from robench.executors.ray_cluster import RayCrew
from robench.executors.spawned import SpawnedCrew
from robench.processes import this_machine
from robench.session.supplies import pack
from robench.session.worker import Blueprint, plain, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from robench.config.request import RunRequest
    from robench.engine.prepare import Prepared
    from robench.session.tasks import Task, TaskResult
    from robench.session.workbench import Workbench

_MOST_BY_DEFAULT = 8
"""Workers on a CPU unless more are asked for: each needs memory for a torch and a data set of its own."""


class Staff:
    """The workers of a run, or nobody: then the process itself does the work. A context manager.

    Args:
        executor: Hands out work to workers; None for nobody.
        request: Of the run.
        environ: The environment of the session.
        device: What a worker calls the device that it sees.
        threads: How many each may use.
    """

    def __init__(
        self,
        executor: Pool[Task, TaskResult] | None,
        request: RunRequest,
        environ: Mapping[str, str],
        device: str,
        threads: int,
    ) -> None:
        self.executor = executor
        self._request, self._environ = request, environ
        self._device, self._threads = device, threads
        self._stack = ExitStack()

    def brief(self, bench: Workbench, prepared: Iterable[Prepared]) -> None:
        """Tell the workers, if there are any, what they need to know."""
        if self.executor is None:
            return
        names = ("parameters", "parameter_places", "settings")
        mappings: dict[str, Any] = {name: plain(getattr(self._request, name)) for name in names}
        blueprint = Blueprint(
            machine=this_machine(),
            request=replace(self._request, db="", device=self._device, trace=None, **mappings),
            environ={name: value for name, value in self._environ.items() if name.startswith("ROBENCH_")},
            versions=versions(),
            train_digest=bench.splits.train.digest,
            fixed={item.deployed.name: item.fixed for item in prepared},
            threads=self._threads,
        )
        cache = bench.workshop.cache
        self.executor.brief(pickle.dumps(blueprint), lambda: pack(cache.root, sorted(cache.used), bench.splits))

    def dismiss(self) -> None:
        """End all workers: what follows needs the memory, not them."""
        self._stack.close()

    def __enter__(self) -> Self:
        if self.executor is not None:
            self._stack.enter_context(self.executor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def engage(request: RunRequest, device: torch.device, environ: Mapping[str, str], warn: Callable[[str], None]) -> Staff:
    """Choose who does the work of a run.

    Args:
        request: Of the run.
        device: That it is for.
        environ: The environment of the session.
        warn: Told of workers that die.

    Raises:
        UsageError: If more GPUs are asked for than this machine has; a cluster is asked when the staff is entered.
    """
    if request.executor == "local":
        return Staff(None, request, environ, str(device), torch.get_num_threads())
    if device.type == "cuda" and device.index is not None:
        message = f"--device {device}: --executor {request.executor} gives each worker a GPU of its own"
        raise UsageError(message, "use --device cuda; CUDA_VISIBLE_DEVICES says which GPUs there are")
    if request.executor == "ray":
        gpus = torch.cuda.device_count() if device.type == "cuda" else 0
        cores = max(gpus, len(_shares(request.workers)))
        crew = RayCrew(request.ray_address, request.workers, gpu=gpus > 0, here=(cores, gpus))
        threads = 1 if request.ray_address is not None else max(1, torch.get_num_threads() // cores)
        return Staff(Pool(crew, warn), request, environ, device.type, threads)
    places = _gpus(request.workers) if device.type == "cuda" else _shares(request.workers)
    threads = max(1, torch.get_num_threads() // len(places))
    spawned = SpawnedCrew([{"OMP_NUM_THREADS": str(threads), **place} for place in places])
    return Staff(Pool(spawned, warn), request, environ, device.type, threads)


def _gpus(wanted: int | None) -> list[dict[str, str]]:
    """Return for each worker the variable that shows it one GPU.

    Raises:
        UsageError: If there are fewer.
    """
    count = torch.cuda.device_count()
    if wanted is not None and wanted > count:
        message = f"--workers {wanted}: each needs a GPU, and this machine shows {count}"
        raise UsageError(message, f"ask for at most {count}, or take --executor ray for those of other machines")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = visible.split(",") if visible else [str(index) for index in range(count)]
    return [{"CUDA_VISIBLE_DEVICES": name} for name in names[: wanted or count]]


def _shares(wanted: int | None) -> list[dict[str, str]]:
    return [{} for _ in range(wanted or min(_MOST_BY_DEFAULT, len(os.sched_getaffinity(0))))]
