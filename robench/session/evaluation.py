"""``robench run``: prepare every defense, lay out the cells, fill what is missing, summarise."""

from __future__ import annotations

import json
import platform
import time
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from robench import __version__
from robench.analysis.summary import summarise
from robench.api import PluginError, UsageError
from robench.api.records import CLEAN, Run
from robench.engine.bisection import run_sweep
from robench.engine.calibration import check_rate
from robench.engine.digests import canonical_json, module_digest
from robench.engine.plan import Plan, Sweep, run_id
from robench.engine.runner import Runner, summarise_environment
from robench.engine.tracing import Tracer
from robench.errors import RobenchError
from robench.registry.code import digest_code
from robench.session.savings import Savings
from robench.session.workbench import Workbench
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

    from robench.api.records import Cell, RunSummary
    from robench.config.request import RunRequest
    from robench.engine.prepare import Offer, Prepared
    from robench.engine.progress import Progress
    from robench.registry.catalog import Catalog

_WORST_CASE_BATCHES = 4
"""How many batches of images the search for the worst case begins with; ever fewer images are left."""


def evaluate(request: RunRequest, catalog: Catalog, command: str, progress: Progress) -> RunSummary:
    """Carry out a request; see ``Session.run``."""
    ResultStore.check(request.db)
    evaluation = _Evaluation(request, catalog, progress)
    evaluation.prepare()
    with ResultStore.open(request.db, create=True) as store:
        run = evaluation.describe(command)
        store.add_run(run, evaluation.cells)
        try:
            complete = evaluation.fill(store, run)
        except BaseException:
            store.set_status(run.id, "interrupted")
            raise
        store.set_status(run.id, "complete" if complete else "failed")
        return summarise(store.find_run(run.id), store.counts(run.id))


class _Evaluation:
    """One run under way."""

    def __init__(self, request: RunRequest, catalog: Catalog, progress: Progress) -> None:
        self.request = request
        self.progress = progress
        self.bench = Workbench(request, catalog, progress)
        self.failures: dict[str, str] = {}
        self.prepared: list[tuple[Offer, Prepared | None]] = []
        self.sweeps: list[Sweep] = []
        environment = {"robench": __version__, "python": platform.python_version()}
        self.environment = summarise_environment(environment, self.bench.device)
        self._check_request()

    def _check_request(self) -> None:
        """Refuse before any work what is bound to fail after it."""
        spec = self.bench.splits.spec
        available = len(self.bench.splits.test)
        if self.request.images > available:
            message = f"--images {self.request.images}: the test split of {spec.name} has {available:,} images"
            raise UsageError(message, f"ask for at most {available}")
        calibrated = any(offer.spec.rejecting for offer in self.bench.defenses)
        if calibrated:
            check_rate(self.request.calibration, self.request.false_positive_rate, spec.sizes["validation"])

    def prepare(self) -> None:
        """Train or load everything, fix all thresholds, then lay out the cells."""
        classifier = self.bench.workshop.train_classifier(self.bench.classifier).module
        self.prepared = [(offer, self._prepare(offer, classifier)) for offer in self.bench.defenses]
        self.plan = Plan(
            dataset=self.request.dataset,
            data_digest=self.bench.splits.test.digest,
            classifier=self.request.classifier,
            classifier_digest=module_digest(classifier),
            seed=self.request.seed,
            device=self.bench.device.type,
            engine={"robench": __version__, "code": digest_code("robench.engine.runner", "robench.engine")},
        )
        self.sweeps = self.plan.sweeps(
            self.prepared, self.bench.assaults, self.request.epsilons, worst_case=self.request.worst_case
        )

    @property
    def cells(self) -> list[Cell]:
        """All cells in the order of the report."""
        return [cell for sweep in self.sweeps for cell in sweep.cells]

    def _prepare(self, offer: Offer, classifier: nn.Module) -> Prepared | None:
        """Prepare a defense; one that fails in its own code costs its own cells only."""
        try:
            return self.bench.workshop.prepare(offer, classifier)
        except RobenchError as error:
            if not isinstance(error, PluginError):
                raise
            self._fail(offer.spec.name, str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 (third-party code may raise anything)
            self._fail(offer.spec.name, describe_exception(error))
        return None

    def _fail(self, defense: str, reason: str) -> None:
        self.failures[defense] = reason
        self.progress.note(f"defense {defense} failed: {reason}")

    def describe(self, command: str) -> Run:
        """Return the record of this run with its provenance."""
        details = {
            "data_digest": self.plan.data_digest,
            "classifier_digest": self.plan.classifier_digest,
            "calibration": self.request.calibration,
            "defenses": {offer.spec.name: _describe(offer, prepared) for offer, prepared in self.prepared},
            "attacks": {
                offer.spec.name: {
                    "knowledge": offer.spec.knowledge,
                    "parameters": dict(offer.settings),
                    **offer.origin,
                }
                for offer in self.bench.attacks
            },
            "engine": self.request.engine,
            "worst_case": self.request.worst_case,
            "environment": self.environment,
        }
        return Run(
            id=run_id(self.cells, self.request.images),
            command=command,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            status="running",
            dataset=self.request.dataset,
            classifier=self.request.classifier,
            profile=self.request.profile,
            images=self.request.images,
            seed=self.request.seed,
            details=canonical_json(details),
        )

    def fill(self, store: ResultStore, run: Run) -> bool:
        """Evaluate what is missing. Return whether no cell failed."""
        failed = False
        tracer = self.tracer = Tracer(self.bench.device, self.request.trace)
        with (
            tracer.tracing(self.progress),
            Savings(store, json.dumps(self.environment), tracer.watch) as savings,
        ):
            runner = Runner(
                self.bench.splits.test,
                seed=self.request.seed,
                device=self.bench.device,
                rows=self.bench.batch_size,
                watch=tracer.watch,
            )
            for sweep in self.sweeps:
                try:
                    self._fill_sweep(store, savings, run, runner, sweep)
                except PluginError as error:
                    failed = True
                    self._fail_sweep(store, run, sweep, str(error))
                except RobenchError:
                    raise
                except (Exception, SystemExit) as error:  # noqa: BLE001 (third-party code may raise anything)
                    failed = True
                    self._fail_sweep(store, run, sweep, describe_exception(error))
        return not failed

    def _fill_sweep(self, store: ResultStore, savings: Savings, run: Run, runner: Runner, sweep: Sweep) -> None:
        if sweep.prepared is None:
            raise PluginError(self.failures[sweep.defense])
        keys = {cell.epsilon: cell.key for cell in sweep.cells}
        missing = {epsilon: store.missing(key, run.images) for epsilon, key in keys.items()}
        total = len(keys) * run.images
        done = total - sum(len(positions) for positions in missing.values())
        if done == total:
            return
        with self.progress.task(f"{sweep.defense}: {_title(sweep)}", total, "outcomes") as task:
            task.update(done)
            for positions, epsilons in _batches(missing, self.bench.batch_size, sweep):
                begun = time.monotonic()
                found = run_sweep(runner, sweep, positions, epsilons)
                savings.add({keys[epsilon]: outcomes for epsilon, outcomes in found.items()}, time.monotonic() - begun)
                self.tracer.batch_done()
                done += sum(len(outcomes) for outcomes in found.values())
                task.update(done)

    def _fail_sweep(self, store: ResultStore, run: Run, sweep: Sweep, reason: str) -> None:
        for cell in sweep.cells:
            store.fail_cell(run.id, cell.key, reason)
        if sweep.prepared is not None:
            self.progress.note(f"{_title(sweep)} on {sweep.defense} failed: {reason}")


def _title(sweep: Sweep) -> str:
    if sweep.attack == CLEAN:
        return CLEAN
    first, last = sweep.cells[0].epsilon, sweep.cells[-1].epsilon
    return f"{sweep.attack} eps {first}" + (f" to {last}" if len(sweep.cells) > 1 else "")


def _batches(
    missing: Mapping[str, Sequence[int]], size: int, sweep: Sweep
) -> Iterator[tuple[list[int], tuple[str, ...]]]:
    """Group positions that lack the same epsilons so that image times epsilons fill a batch."""
    lacking: dict[int, list[str]] = {}
    for epsilon, positions in missing.items():
        for position in positions:
            lacking.setdefault(position, []).append(epsilon)
    groups: dict[tuple[str, ...], list[int]] = {}
    for position in sorted(lacking):
        groups.setdefault(tuple(lacking[position]), []).append(position)
    for epsilons, positions in groups.items():
        # The worst case begins with all images at one epsilon each, and ever fewer of them are left.
        count = _WORST_CASE_BATCHES * size if sweep.worst_case else max(1, size // len(epsilons))
        for start in range(0, len(positions), count):
            yield positions[start : start + count], epsilons


def _describe(offer: Offer, prepared: Prepared | None) -> dict[str, object]:
    described: dict[str, object] = {"parameters": dict(offer.settings), **offer.origin}
    if prepared is None:
        return described
    return {
        **described,
        "digest": prepared.digest,
        "threshold": prepared.deployed.threshold,
        "threshold_rule": prepared.rule,
        "false_positive_rate_validation": prepared.false_positive_rate,
        "validation_images": prepared.validation_images,
    }


def describe_exception(error: BaseException) -> str:
    """Return one line with type, message and the place where a plugin's exception was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno}, in {frame.name})"
