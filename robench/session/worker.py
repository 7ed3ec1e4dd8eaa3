"""A worker in another process: it makes the same defenses ready, trains nothing, and never sees the store."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import torch

from robench import __version__
from robench.api.records import ADAPTIVE, REJECTION, WORST_CASE
from robench.config.request import Overrides, resolve_paths
from robench.engine.data import LoadedSplit
from robench.engine.diagnostics.examples import KEPT
from robench.engine.memory import keep_freed_memory
from robench.engine.progress import Silent
from robench.engine.runner import summarise_environment
from robench.errors import RobenchError
from robench.processes import this_machine
from robench.registry.catalog import load_catalog
from robench.session.attacking import Attacker
from robench.session.layout import Layout
from robench.session.supplies import unpack
from robench.session.workbench import Workbench

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from robench.api import SplitName
    from robench.config.request import RunRequest
    from robench.engine.plan import Sweep
    from robench.engine.prepare import Fixed
    from robench.engine.sweep import SweepWork
    from robench.session.tasks import Task, TaskResult

ENSEMBLES = (ADAPTIVE, WORST_CASE, REJECTION)
"""What several attacks are recorded as."""


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """All that a process needs to carry out tasks of a run. Can be pickled; calling it makes the worker.

    Attributes:
        machine: Where the run was planned.
        request: Of the run, without the store, on the device that the worker sees.
        environ: The ROBENCH_* variables.
        versions: Of robench and torch, in which weights are looked up.
        train_digest: SHA-256 of the training images, by which weights are found. Nothing else needs them.
        fixed: What is known of each defense that could be prepared, by name.
        threads: How many one worker may use.
    """

    machine: str
    request: RunRequest
    environ: Mapping[str, str]
    versions: Mapping[str, str]
    train_digest: str
    fixed: Mapping[str, Fixed]
    threads: int

    def __call__(self, fetch: Callable[[], bytes]) -> Worker:
        """Return a worker for this process.

        Args:
            fetch: Fetches weights and images, for a machine other than that where the run was planned.
        """
        torch.set_num_threads(self.threads)
        keep_freed_memory()
        if this_machine() == self.machine:
            return Worker(self)
        paths = resolve_paths(Overrides(), os.environ)
        given = unpack(fetch(), paths.cache_dir)
        request = dataclasses.replace(self.request, cache_dir=paths.cache_dir, data_dir=paths.data_dir)
        return Worker(dataclasses.replace(self, request=request), given)


class Worker:
    """Carries out tasks of a run.

    Args:
        blueprint: What it needs.
        given: Images that are at hand already.

    Raises:
        RobenchError: If this process has other versions than the one that planned the run.
    """

    def __init__(self, blueprint: Blueprint, given: Mapping[SplitName, LoadedSplit] = MappingProxyType({})) -> None:
        _require_versions(blueprint.versions)
        request = blueprint.request
        train = LoadedSplit(images=np.empty(0, np.float32), labels=np.empty(0, np.int64), digest=blueprint.train_digest)
        catalog = load_catalog(blueprint.environ)
        self._bench = Workbench(request, catalog, Silent(), trains=False, given={**given, "train": train})
        self._layout = Layout(self._bench, Silent().note)
        self._fixed = blueprint.fixed
        self._sweeps_of = cache(self._lay_out)  # defenses are made ready when the first task asks for them
        here = {"robench": __version__, "python": platform.python_version()}
        environment = json.dumps(summarise_environment(here, self._bench.device))
        self._attack = Attacker(self._bench, self._find, environment)

    def __call__(self, task: Task, tried: int) -> TaskResult:
        """Carry out a task. What comes of it is on the CPU, with as many examples as anybody asks for.

        Raises:
            RobenchError: If something else than a plugin fails.
        """
        result = self._attack(task, tried)
        pairs = zip(result.found, task.batches, strict=False)  # fewer after a failure
        ensemble = task.attack in ENSEMBLES
        found = tuple(
            dataclasses.replace(work, examples=self._wanted(work, positions, ensemble=ensemble))
            for work, (positions, _) in pairs
        )
        return dataclasses.replace(result, found=found)

    def _find(self, task: Task) -> Sweep:
        """Find the sweep of a task by its key.

        Raises:
            RobenchError: If there is none: something that outcomes depend on is not here as it is there.
        """
        for sweep in self._sweeps_of(task.defense):
            found = sweep
            for member in task.without if sweep.attack == task.attack else ():
                if found.ensemble is not None:
                    found = self._layout.plan.lay_out(found.offer, found.prepared, found.ensemble.without(member))
            if found.cells[0].key == task.key:
                return found
        where = f"{task.defense} under {task.attack}: {socket.gethostname()}"
        message = f"{where} has other code, data or weights than the process that planned the run"
        raise RobenchError(message, "install the same robench and plugins there, and the same data")

    def _lay_out(self, defense: str) -> list[Sweep]:
        (offer,) = [offer for offer in self._bench.defenses if offer.spec.name == defense]
        prepared = self._layout.prepare(offer, self._fixed[defense])
        return self._layout.sweeps(offer, prepared, self._layout.ensembles(prepared))

    def _wanted(self, work: SweepWork, positions: Sequence[int], *, ensemble: bool) -> dict[str, Tensor]:
        """Return the examples that are kept, or diagnosed afterwards, on the CPU."""
        if self._bench.request.keep_examples or (ensemble and any(position < KEPT for position in positions)):
            return {epsilon: images.cpu() for epsilon, images in work.examples.items()}
        return {}


def _require_versions(planned: Mapping[str, str]) -> None:
    for name, here in versions().items():
        if planned[name] != here:
            message = f"{socket.gethostname()} has {name} {here}, and the run was planned with {planned[name]}"
            raise RobenchError(message, "install the same versions on all machines")


def versions() -> dict[str, str]:
    """Return the versions that workers must share with the process that plans."""
    return {"robench": __version__, "torch": torch.__version__}


def plain(value: object) -> object:
    """Return a setting with its read-only mappings turned into dictionaries, which can be pickled."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value
