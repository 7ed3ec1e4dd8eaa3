"""``robench run``: prepare every defense, lay out the cells, fill what is missing, summarise."""

from __future__ import annotations

import json
import platform
import shlex
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from robench import __version__
from robench.api import PluginError, UsageError
from robench.api.records import FAILED_PLUGINS, Run
from robench.config.settings import write_value
from robench.engine.calibration import check_rate
from robench.engine.digests import canonical_json
from robench.engine.memory import keep_freed_memory
from robench.engine.plan import run_id
from robench.engine.runner import summarise_environment
from robench.errors import RobenchError, describe_exception
from robench.session.cards import write_cards
from robench.session.diagnosing import diagnose_evaluation
from robench.session.ensembles import name_members
from robench.session.examples import Keeper
from robench.session.filling import Filling, record
from robench.session.kept import examples_folder
from robench.session.layout import Layout
from robench.session.staffing import engage
from robench.session.summaries import summarise_stored
from robench.session.workbench import Workbench
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robench.api.records import Cell, RunSummary
    from robench.config.request import RunRequest
    from robench.engine.plan import Sweep
    from robench.engine.prepare import Offer, Prepared
    from robench.engine.progress import Progress
    from robench.registry.catalog import Catalog
    from robench.session.staffing import Staff


_AFTER_PARTS = "Join all parts with robench db merge; then the same command without --shard completes the run"


def evaluate(
    request: RunRequest, catalog: Catalog, command: str, progress: Progress, environ: Mapping[str, str]
) -> RunSummary:
    """Carry out a request; see ``Session.run``."""
    if warning := ResultStore.check(request.db):
        progress.warn(warning)
    keep_freed_memory()
    evaluation = _Evaluation(request, catalog, progress)
    with engage(request, evaluation.bench.device, environ, progress.warn) as staff:
        evaluation.prepare()
        staff.brief(evaluation.bench, [prepared for _, prepared in evaluation.prepared if prepared is not None])
        return _fill(evaluation, command, staff)


def _fill(evaluation: _Evaluation, command: str, staff: Staff) -> RunSummary:
    """Store what comes of an evaluation that is prepared."""
    request, progress = evaluation.request, evaluation.progress
    with ResultStore.open(request.db, create=True) as store:
        run = evaluation.describe(command)
        store.require_space(len(evaluation.cells) * run.images)
        record(store, run, evaluation.sweeps)
        keeper = Keeper(examples_folder(request.db), run, evaluation.bench.splits.test)
        try:
            filling = Filling(
                evaluation.bench,
                evaluation.layout.plan,
                store,
                run,
                environment=json.dumps(evaluation.environment),
                progress=progress,
                keeper=keeper if request.keep_examples else None,
            )
            complete = filling.fill(evaluation.sweeps, evaluation.failures, staff.executor)
            staff.dismiss()
            if request.shard is None:
                evaluation.diagnose(store, run, filling)
                write_cards(store, summarise_stored(store, run))
        except BaseException:
            with suppress(RobenchError):  # a store that fails here has failed before, or the run is another's by now
                store.set_status(run.id, "interrupted")
            raise
        if request.shard is not None:
            store.set_status(run.id, "interrupted")
            if not filling.outcomes:
                progress.warn(f"part {request.shard} is empty: {run.images:,} images do not make so many parts")
            progress.note(f"part {request.shard} is stored. {_AFTER_PARTS}")
        else:
            store.set_status(run.id, "complete" if complete else "failed")
        summary = summarise_stored(store, store.find_run(run.id))
        # A run that goes on keeps the record of its beginning; what could be loaded may have changed since.
        return replace(summary, details={**summary.details, FAILED_PLUGINS: evaluation.failed_plugins})


class _Evaluation:
    """One run under way."""

    def __init__(self, request: RunRequest, catalog: Catalog, progress: Progress) -> None:
        self.request = request
        self.progress = progress
        self.bench = Workbench(request, catalog, progress)
        self.layout = Layout(self.bench, progress.note)
        failures = (*catalog.failures, *self.bench.unusable)
        self.failed_plugins = [dict(sorted(asdict(failure).items())) for failure in failures]
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
        _ = self.layout.classifier  # if it cannot be had, no defense can
        self.prepared = [(offer, self._prepare(offer)) for offer in self.bench.defenses]
        for offer, prepared in self.prepared:
            ensembles = self.layout.ensembles(prepared)
            if self.bench.adaptive and ensembles:
                self.progress.note(f"{offer.spec.name}: budget {self.request.budget}: {name_members(ensembles)}")
            self.sweeps += self.layout.sweeps(offer, prepared, ensembles)

    @property
    def cells(self) -> list[Cell]:
        """All cells in the order of the report."""
        return [cell for sweep in self.sweeps for cell in sweep.cells]

    def diagnose(self, store: ResultStore, run: Run, filling: Filling) -> None:
        """Diagnose what was found about each defense, unless that was done before."""
        done = store.findings(run.id)
        for offer, prepared in self.prepared:
            if prepared is not None and offer.spec.name not in done:
                diagnose_evaluation(
                    self.bench,
                    filling.sweeps,
                    prepared,
                    store=store,
                    run=run,
                    progress=self.progress,
                    examples=filling.examples,
                )

    def _prepare(self, offer: Offer) -> Prepared | None:
        """Prepare a defense; one that fails in its own code costs its own cells only."""
        try:
            return self.layout.prepare(offer)
        except RobenchError as error:
            if not isinstance(error, PluginError):
                raise
            self._fail(offer.spec.name, str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 (third-party code may raise anything)
            self._fail(offer.spec.name, describe_exception(error))
        return None

    def _fail(self, defense: str, reason: str) -> None:
        self.failures[defense] = reason
        self.progress.warn(f"defense {defense} failed: {reason}")

    def describe(self, command: str) -> Run:
        """Return the record of this run with its provenance."""
        details = {
            "data_digest": self.layout.plan.data_digest,
            "classifier_digest": self.layout.plan.classifier_digest,
            "classifier": self.bench.classifier.described,
            "parameters_changed": {
                offer.spec.name: [f"{key}={write_value(value)}" for key, value in offer.changed.items()]
                for offer in self.bench.offers
                if offer.changed
            },
            "calibration": self.request.calibration,
            "false_positive_rate": self.request.false_positive_rate,
            "defenses": {offer.spec.name: self._describe(offer, prepared) for offer, prepared in self.prepared},
            "attacks": {
                offer.spec.name: {"knowledge": offer.spec.knowledge, "goal": offer.spec.goal, **offer.described}
                for offer in (*self.bench.attacks, *(assault.offer for assault in self.bench.adaptive))
            },
            "norm": self.request.norm,
            "budget": self.request.budget,
            "suite": self.request.suite,
            "variant": self.request.variant,
            "engine": self.request.engine,
            "worst_case": self.request.worst_case,
            "environment": self.environment,
            "replay": self._replay(),
            FAILED_PLUGINS: self.failed_plugins,
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

    def _replay(self) -> str:
        """Return the command that asks for this run wherever benchmarks.toml sets the same rates, and no parameters.

        It names no store: where the outcomes are says nothing of them, and to repeat a run is to make them anew.
        """
        request, file = self.request, self.request.classifier_file
        words = ["robench", "run", "--dataset", request.dataset, "--classifier", request.classifier]
        if file is not None and file.weights is not None:
            words += ["--classifier-weights", file.weights.name]
        for defense in request.defenses:
            words += ["--defense", defense]
        for attack in request.attacks:
            words += ["--attack", attack]
        words += ["--norm", request.norm, "--epsilons", ",".join(request.epsilons), "--images", str(request.images)]
        words += ["--seed", str(request.seed), "--profile", request.profile, "--budget", request.budget]
        for offer in self.bench.offers:
            for key, value in offer.changed.items():
                words += ["--set", f"{offer.spec.name}.{key}={write_value(value)}"]
        words += ["--worst-case"] if request.worst_case else []
        return shlex.join(words)

    def _describe(self, offer: Offer, prepared: Prepared | None) -> dict[str, object]:
        described = offer.described
        if prepared is None:
            return described
        native = any(assault.form == "sweep" for assault in (*self.bench.assaults, *self.bench.adaptive))
        return {
            **described,
            "digest": prepared.digest,
            "searched_in": prepared.search.precision if native else "float32",
            "threshold": prepared.deployed.threshold,
            "threshold_rule": prepared.rule,
            "false_positive_rate_validation": prepared.false_positive_rate,
            "validation_images": prepared.validation_images,
        }
