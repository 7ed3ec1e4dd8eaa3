"""``robench plan``: what a run would do, and what that would take; nothing is trained or stored."""

from __future__ import annotations

import os
import resource
import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch

from robench.engine.memory import keep_freed_memory
from robench.engine.plan import UNAVAILABLE
from robench.engine.runner import Runner, default_batch_size
from robench.engine.sweep import run_sweep
from robench.engine.weights import MissingWeightsError
from robench.errors import RobenchError, describe_exception
from robench.session.layout import Layout
from robench.session.tasks import batch_size_of_parts, batches, images_a_batch, images_of_part
from robench.session.workbench import Workbench
from robench.storage.location import Location
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from robench.config.request import RunRequest
    from robench.engine.plan import Plan, Sweep
    from robench.engine.prepare import Offer, Prepared
    from robench.engine.progress import Progress
    from robench.registry.catalog import Catalog

_FEW = 4
"""Images of the first look at a sweep."""

_PROBE_SECONDS = 2.0
"""How long something may be expected to take for it to be tried."""


@dataclass(frozen=True, kw_only=True)
class SweepEstimate:
    """What one attack on one defense would take.

    Attributes:
        defense, attack: Names.
        cells: How many the run asks for.
        outcomes: How many of them are not stored yet.
        batches: In how many batches they would be attacked.
        passes: Images that would go through the defense during the search, by the probe; None without one.
        seconds: On this device, by the probe; None without one.
        remark: Why there is no better estimate, or empty.
    """

    defense: str
    attack: str
    cells: int
    outcomes: int
    batches: int
    passes: float | None
    seconds: float | None
    remark: str


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run would take.

    Attributes:
        device: Where.
        images: Of the run.
        sweeps: In the order of the run.
        memory: Most bytes that this process, or the GPU it uses, has held until the end of the probe; None without one.
        to_train: Defenses whose weights are not in the cache, so that nothing could be tried.
        load: Cores of this machine that were busy before the probe, on average over a minute; None without one.
        cores: That this process may use.
    """

    device: str
    images: int
    sweeps: tuple[SweepEstimate, ...]
    memory: int | None
    to_train: tuple[str, ...]
    load: float | None
    cores: int

    @property
    def cells(self) -> int:
        """Cells of the run."""
        return sum(item.cells for item in self.sweeps)

    @property
    def outcomes(self) -> int:
        """Outcomes that are not stored yet."""
        return sum(item.outcomes for item in self.sweeps)

    @property
    def batches(self) -> int:
        """Batches in which they would be attacked."""
        return sum(item.batches for item in self.sweeps)

    @property
    def passes(self) -> float | None:
        """Images that would go through defenses during all searches that were tried; None if none was."""
        known = [item.passes for item in self.sweeps if item.passes is not None]
        return sum(known) if known else None

    @property
    def seconds(self) -> float | None:
        """Seconds on this device of all that was tried; None if nothing was."""
        known = [item.seconds for item in self.sweeps if item.seconds is not None]
        return sum(known) if known else None


def plan(request: RunRequest, catalog: Catalog, progress: Progress, *, probe: bool) -> Estimate:
    """Say what a run would do; see ``Session.plan``."""
    keep_freed_memory()
    return _Planning(Workbench(request, catalog, progress, trains=False), progress, probe=probe).estimate()


class _Planning:
    def __init__(self, bench: Workbench, progress: Progress, *, probe: bool) -> None:
        self._bench, self._progress, self._probes = bench, progress, probe
        self._layout = Layout(bench, progress.note)
        self._batch_size = cache(self._find_batch_size)
        self._new = _is_new(bench.request.db)

    def estimate(self) -> Estimate:
        request, device = self._bench.request, self._bench.device
        load = os.getloadavg()[0]
        store = nullcontext(None) if self._new else ResultStore.open(request.db, create=False)
        found, to_train = [], []
        with store as opened:
            for offer in self._bench.defenses:
                prepared, remark, shared = self._prepare(offer)
                if remark == _UNTRAINED:
                    to_train.append(offer.spec.name)
                for sweep in self._layout.sweeps(offer, prepared, self._layout.ensembles(prepared), shared):
                    missing = {
                        cell.epsilon: tuple(range(request.images))
                        if opened is None
                        else opened.missing(cell.key, request.images)
                        for cell in sweep.cells
                    }
                    found.append(self._estimate(sweep, missing, remark))
        return Estimate(
            device=str(device),
            images=request.images,
            sweeps=tuple(found),
            memory=_peak_memory(device) if self._probes else None,
            to_train=tuple(to_train),
            load=load if self._probes else None,
            cores=len(os.sched_getaffinity(0)),
        )

    def _prepare(self, offer: Offer) -> tuple[Prepared | None, str, Plan | None]:
        """Return a defense if it can be had without training, else why not, and what names its cells meanwhile."""
        unnamed = self._layout.plan_for(UNAVAILABLE)
        try:
            if self._new and not self._probes:  # nothing to look up, nothing to try: a threshold would be for nothing
                self._bench.workshop.build(offer, self._layout.classifier)
                return None, "", unnamed
            return self._layout.prepare(offer), "", None
        except MissingWeightsError:
            return None, _UNTRAINED, unnamed
        except RobenchError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 (third-party code may raise anything)
            return None, describe_exception(error), None

    def _find_batch_size(self, prepared: Prepared | None) -> int:
        request = self._bench.request
        usual = request.batch_size or default_batch_size(self._bench.device)
        if request.shard is not None:
            return batch_size_of_parts(request.shard, request.images, usual)
        return usual if prepared is None or not self._probes else self._bench.batch_size_for(prepared)

    def _estimate(self, sweep: Sweep, missing: dict[str, tuple[int, ...]], remark: str) -> SweepEstimate:
        request, size = self._bench.request, self._batch_size(sweep.prepared)
        together = images_a_batch(sweep, size, len(sweep.cells))
        part = images_of_part(request.shard, request.images, together)
        wanted = {epsilon: [place for place in places if place in part] for epsilon, places in missing.items()}
        outcomes = sum(map(len, wanted.values()))
        share = outcomes / len(sweep.cells)  # images, where some epsilons are stored already
        passes = seconds = None
        if self._probes and outcomes and sweep.prepared is not None:
            self._progress.note(f"trying {sweep.defense} under {sweep.attack}")
            try:
                a_pass, a_second = self._probe(sweep, together, size)
                passes, seconds = share * a_pass, share * a_second
            except (Exception, SystemExit) as error:  # noqa: BLE001 (third-party code may raise anything)
                remark = str(error) if isinstance(error, RobenchError) else describe_exception(error)
        return SweepEstimate(
            defense=sweep.defense,
            attack=sweep.attack,
            cells=len(sweep.cells),
            outcomes=outcomes,
            batches=sum(1 for _ in batches(wanted, size, sweep)),
            passes=passes,
            seconds=seconds,
            remark=remark,
        )

    def _probe(self, sweep: Sweep, together: int, rows: int) -> tuple[float, float]:
        """Attack one image, a few, and a whole batch, as long as that is quick. Return passes and seconds for one.

        Few at once take longer for each: what is slow is estimated too high rather than too low.
        """
        request, bench = self._bench.request, self._bench
        runner = Runner(
            bench.splits.test,
            bench.references,
            seed=request.seed,
            device=bench.device,
            rows=rows,
            norm=request.norm,
        )
        epsilons = tuple(cell.epsilon for cell in sweep.cells)

        def attack(count: int) -> tuple[float, float]:
            begun = time.monotonic()
            found = run_sweep(runner, sweep, range(count), epsilons)
            queries = sum(found.works[cell.key].queries for cell in sweep.cells if cell.key in found.works)
            return queries / count, (time.monotonic() - begun) / count

        whole, few = min(request.images, together), min(request.images, together, _FEW)
        found = attack(1)
        if found[1] <= _PROBE_SECONDS:
            found = attack(few)  # the first one also prepared kernels
        return attack(whole) if found[1] * whole <= _PROBE_SECONDS else found


_UNTRAINED = "is to be trained first"


def _is_new(db: str) -> bool:
    path = Location.parse(db).path
    return path is not None and not path.exists()


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
