"""Which evaluations are diagnosed, on which images, and what becomes of the findings."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from robench.analysis import flags
from robench.api import PluginError, UsageError
from robench.api.records import ADAPTIVE
from robench.engine.diagnostics.examples import FirstExamples
from robench.engine.diagnostics.probe import Probe
from robench.engine.diagnostics.variants import is_iterative
from robench.engine.memory import keep_freed_memory
from robench.errors import RobenchError, describe_exception
from robench.session.diagnosing_attacks import BLIND, TRANSFER, AttackDiagnosis
from robench.session.diagnosing_ensembles import EnsembleDiagnosis, Found, found_by, search
from robench.session.ensembles import ensembles_for
from robench.session.workbench import Workbench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from robench.api.records import Cell, Finding, ImageOutcome, Run
    from robench.config.request import RunRequest
    from robench.engine.diagnostics.probe import Slot
    from robench.engine.plan import Assault, Ensemble, Sweep
    from robench.engine.prepare import Prepared
    from robench.engine.progress import Progress
    from robench.registry.catalog import Catalog
    from robench.session.diagnosing_attacks import Rivals
    from robench.session.diagnosing_ensembles import Outcomes
    from robench.storage.store import ResultStore

IMAGES_OF_A_RUN = 10
"""Images on which the evaluations of a run are diagnosed: seconds for each defense."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What was found out about the evaluation of one defense."""

    defense: str
    findings: tuple[Finding, ...]

    @property
    def fails(self) -> bool:
        """Whether some finding is a FAIL."""
        return any(finding.status == "FAIL" for finding in self.findings)


def diagnose(request: RunRequest, catalog: Catalog, progress: Progress) -> list[Diagnosis]:
    """Diagnose the naive attacks of a request, and its ensemble; nothing is stored.

    Args:
        request: Which defenses, attacks, epsilons and images.
        catalog: Where their names are looked up.
        progress: Told of long work.

    Raises:
        RobenchError: If there is nothing to diagnose, or a defense cannot be prepared.
    """
    keep_freed_memory()
    # What the budget allows is at hand whatever is asked for: naive attacks are compared with it.
    attacks = (*request.attacks, ADAPTIVE)
    bench = Workbench(dataclasses.replace(request, attacks=attacks, worst_case=False), catalog, progress)
    naive = [assault for assault in bench.assaults if _is_suspect(assault)]
    if not naive and ADAPTIVE not in request.attacks:
        message = f"none of {', '.join(request.attacks)} is a naive attack that takes steps"
        raise UsageError(message, f"diagnose bim, pgd or {ADAPTIVE}")
    if request.images > len(bench.splits.test):
        message = f"--images {request.images}: the test split has {len(bench.splits.test):,} images"
        raise UsageError(message, f"ask for at most {len(bench.splits.test)}")
    classifier = bench.workshop.train_classifier(bench.classifier).module
    diagnoses = []
    for offer in bench.defenses:
        if offer.spec.name not in request.defenses:  # the baseline, which a run would compare with
            continue
        prepared = bench.workshop.prepare(offer, classifier)
        with _probing(bench, prepared, request.images) as probe:
            ensembles = [item for item in ensembles_for(bench, prepared, progress.note) if item.goal == "wrong"]
            rivals = _trying(probe, [assault for item in ensembles for assault in item.assaults])
            asked = ensembles if ADAPTIVE in request.attacks else []
            found = [found_by(search(probe, ensemble, probe.positions, request.epsilons)) for ensemble in asked]
            findings: list[Finding] = []
            for assault in naive:
                epsilons = _few(request.epsilons)
                diagnosis = AttackDiagnosis(probe, assault, epsilons, rivals=rivals, others=_any_of(found))
                findings += _collect(probe, diagnosis, progress)
            for ensemble, one in zip(asked, found, strict=True):
                findings += _collect(probe, EnsembleDiagnosis(probe, ensemble, one), progress)
        diagnoses.append(Diagnosis(defense=prepared.deployed.name, findings=tuple(findings)))
    return diagnoses


def diagnose_evaluation(
    bench: Workbench,
    sweeps: Sequence[Sweep],
    prepared: Prepared,
    *,
    store: ResultStore,
    run: Run,
    progress: Progress,
    examples: FirstExamples | None = None,
) -> tuple[Finding, ...]:
    """Diagnose what a run has stored about one defense, and store the findings.

    Looked at are the last naive attack that takes steps, and the ensembles that want an accepted wrong class.

    Args:
        bench: The request with everything it names.
        sweeps: Those of the run, as they were filled.
        prepared: The defense.
        store: Where outcomes are and findings go.
        run: The run.
        progress: Told of long work.
        examples: Those that are at hand.
    """
    at_hand, defense = examples or FirstExamples(), prepared.deployed.name
    own = [sweep for sweep in sweeps if sweep.defense == defense]

    def known(cells: Iterable[Cell]) -> dict[str, tuple[ImageOutcome, ...]]:
        outcomes = {cell.epsilon: store.outcomes(run.id, cell.key) for cell in cells}
        return {epsilon: found for epsilon, found in outcomes.items() if found}

    def found(ensemble: Ensemble, sweep: Sweep) -> Found:
        pairs = zip(ensemble.assaults, sweep.members, strict=True)
        members = {assault.name: known(cells) for assault, cells in pairs}
        return Found(together=known(sweep.cells), members=members)

    ensembles = [
        (sweep.ensemble, found(sweep.ensemble, sweep))
        for sweep in own
        if sweep.ensemble is not None and sweep.ensemble.goal == "wrong"
    ]
    rivals = _remembering([one for _, one in ensembles])
    suspects = [sweep.assault for sweep in own if sweep.assault is not None and _is_suspect(sweep.assault)]
    subjects: list[tuple[str, Outcomes, Callable[[Probe], AttackDiagnosis | EnsembleDiagnosis]]] = []
    for assault in suspects[-1:]:
        outcomes = known(cell for sweep in own if sweep.assault is assault for cell in sweep.cells)
        middle = tuple(outcomes)[len(outcomes) // 2 :][:1]  # where neither all images stand nor all have fallen
        diagnosis = partial(
            AttackDiagnosis,
            assault=assault,
            epsilons=middle,
            rivals=rivals,
            others=_any_of([one for _, one in ensembles]),
            outcomes=outcomes,
        )
        subjects.append((assault.name, outcomes, diagnosis))
    for ensemble, one in ensembles:
        kept = at_hand.of(defense, ensemble.name)
        together = partial(EnsembleDiagnosis, ensemble=ensemble, found=one, examples=kept)
        subjects.append((ensemble.name, one.together, together))
    findings = []
    able = any(stored for _, stored, _ in subjects)
    images = min(IMAGES_OF_A_RUN, run.images)
    with _probing(bench, prepared, images) if able else nullcontext() as probe:
        for name, stored, make in subjects:
            if probe is None or not stored:
                findings.append(flags.not_run(name, "all", "the run has no outcomes of it"))
            else:
                findings += _collect(probe, make(probe), progress)
    store.add_findings(run.id, prepared.deployed.name, findings)
    return tuple(findings)


def _is_suspect(assault: Assault) -> bool:
    """Say whether an attack is diagnosed on its own: it does not know the defense, and takes steps."""
    return assault.offer.spec.knowledge == "naive" and is_iterative(assault)


@contextmanager
def _probing(bench: Workbench, prepared: Prepared, images: int) -> Iterator[Probe]:
    with bench.attempt(prepared) as rows:
        yield Probe(
            bench.splits.test,
            bench.references,
            prepared,
            range(images),
            seed=bench.request.seed,
            device=bench.device,
            rows=rows,
            norm=bench.request.norm,
        )


def _few(epsilons: Sequence[str]) -> tuple[str, ...]:
    """Pick the smallest, the largest and the middle one."""
    return tuple(dict.fromkeys((epsilons[0], epsilons[len(epsilons) // 2], epsilons[-1])))


def _trying(probe: Probe, assaults: Sequence[Assault]) -> Rivals:
    """Let the weak ones of some attacks try."""
    weak = [assault for assault in assaults if assault.name in (*BLIND, *TRANSFER)]
    return lambda slots: {assault.name: probe.attack(assault, slots).won for assault in weak}


def _remembering(found: Sequence[Found]) -> Rivals:
    """Look up what the weak attacks of ensembles have won."""
    names = {name for one in found for name in one.members if name in (*BLIND, *TRANSFER)}

    def ask(slots: Sequence[Slot]) -> dict[str, frozenset[Slot]]:
        winners = {slot: frozenset[str]().union(*(one.winners(slot) for one in found)) for slot in slots}
        return {name: frozenset(slot for slot in slots if name in winners[slot]) for name in names}

    return ask


def _any_of(found: Sequence[Found]) -> Callable[[Slot], bool]:
    """Say of a slot whether some ensemble has won it."""
    return lambda slot: any(one.winners(slot) for one in found)


def _collect(probe: Probe, diagnosis: AttackDiagnosis | EnsembleDiagnosis, progress: Progress) -> list[Finding]:
    """Make all findings; a plugin that fails costs its own only."""
    checks, findings = diagnosis.checks(), []
    with progress.task(f"{probe.prepared.deployed.name}: diagnose {diagnosis.name}", len(checks), "checks") as task:
        for done, (name, check) in enumerate(checks.items(), start=1):
            try:
                findings.append(check())
            except PluginError as error:
                findings.append(flags.not_run(diagnosis.name, name, str(error)))
            except RobenchError:
                raise
            except (Exception, SystemExit) as error:  # noqa: BLE001 (third-party code may raise anything)
                findings.append(flags.not_run(diagnosis.name, name, describe_exception(error)))
            task.update(done)
    return findings
