"""``robench run``: prepare every defense, lay out the cells, fill what is missing, summarise."""

from __future__ import annotations

import json
import platform
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from robench import __version__
from robench.analysis.summary import summarise
from robench.api import PluginError, UsageError
from robench.api.records import CLEAN, Run
from robench.engine.calibration import check_rate
from robench.engine.digests import canonical_json, module_digest
from robench.engine.plan import Plan, PlannedCell, run_id
from robench.engine.runner import Runner, summarise_environment
from robench.errors import RobenchError
from robench.registry.code import digest_code
from robench.session.workbench import Workbench
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from torch import nn

    from robench.api.records import RunSummary
    from robench.config.request import RunRequest
    from robench.engine.prepare import Offer, Prepared
    from robench.engine.progress import Progress
    from robench.registry.catalog import Catalog


def evaluate(request: RunRequest, catalog: Catalog, command: str, progress: Progress) -> RunSummary:
    """Carry out a request; see ``Session.run``."""
    ResultStore.check(request.db)
    evaluation = _Evaluation(request, catalog, progress)
    evaluation.prepare()
    with ResultStore.open(request.db, create=True) as store:
        run = evaluation.describe(command)
        store.add_run(run, [planned.cell for planned in evaluation.cells])
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
        self.cells: list[PlannedCell] = []
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
        self.cells = self.plan.cells(self.prepared, self.bench.attacks, self.request.epsilons)

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
        """Evaluate what is missing, shard by shard. Return whether no cell failed."""
        runner = Runner(
            self.bench.splits.test,
            seed=self.request.seed,
            device=self.bench.device,
            environment=json.dumps(self.environment),
        )
        failed = False
        for planned in self.cells:
            try:
                self._fill_cell(store, run, runner, planned)
            except PluginError as error:
                failed = True
                self._fail_cell(store, run, planned, str(error))
            except RobenchError:
                raise
            except (Exception, SystemExit) as error:  # noqa: BLE001 (third-party code may raise anything)
                failed = True
                self._fail_cell(store, run, planned, describe_exception(error))
        return not failed

    def _fill_cell(self, store: ResultStore, run: Run, runner: Runner, planned: PlannedCell) -> None:
        cell = planned.cell
        if planned.prepared is None:
            raise PluginError(self.failures[cell.defense])
        missing = store.missing(cell.key, run.images)
        if not missing:
            return
        what = CLEAN if planned.assault is None else f"{cell.attack} eps {cell.epsilon}"
        with self.progress.task(f"{cell.defense}: {what}", run.images, "images") as task:
            done = run.images - len(missing)
            task.update(done)
            for start in range(0, len(missing), self.bench.batch_size):
                positions = missing[start : start + self.bench.batch_size]
                store.add_shard(cell.key, runner.shard(planned.prepared.deployed, planned.assault, positions))
                done += len(positions)
                task.update(done)

    def _fail_cell(self, store: ResultStore, run: Run, planned: PlannedCell, reason: str) -> None:
        cell = planned.cell
        store.fail_cell(run.id, cell.key, reason)
        if planned.prepared is not None:
            self.progress.note(f"{cell.attack} eps {cell.epsilon} on {cell.defense} failed: {reason}")


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
