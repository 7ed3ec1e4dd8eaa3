"""``robench replay``: the kept examples of a run, put to a defense once more."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from robench.api import UsageError
from robench.api.records import Outcome
from robench.config.epsilons import parse_epsilons
from robench.engine.digests import module_digest
from robench.engine.ensemble import FINAL_DRAWS
from robench.engine.memory import keep_freed_memory
from robench.engine.plan import JUDGING_DRAWS
from robench.engine.runner import Runner
from robench.errors import RobenchError
from robench.session.examples import keeps_any, read_kept
from robench.session.kept import examples_folder
from robench.session.stored import StoredRun
from robench.session.workbench import Workbench
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from robench.api.records import Cell, ImageOutcome
    from robench.config.request import Overrides, RunRequest
    from robench.engine.prepare import Prepared
    from robench.engine.progress import Progress
    from robench.registry.catalog import Catalog

FORMS = ("float", "8-bit")

_PURPOSE = "replay"
"""Names the draws of a stochastic defense: neither the search nor the run's judgement has seen them."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How some images ended.

    Attributes:
        correct, wrong, rejected: Images by outcome.
        wrong_draws, rejected_draws: Means over the images of the share of draws that were wrong and accepted, or
            rejected, in [0, 1]; equal to the share of images where each was judged once.
    """

    correct: int
    wrong: int
    rejected: int
    wrong_draws: float
    rejected_draws: float

    @classmethod
    def of(cls, outcomes: Sequence[ImageOutcome]) -> Ending:
        """Count outcomes, at least one."""
        ends = [item.outcome for item in outcomes]
        return cls(
            correct=ends.count(Outcome.CORRECT),
            wrong=ends.count(Outcome.WRONG),
            rejected=ends.count(Outcome.REJECTED),
            wrong_draws=sum(item.draws_wrong / item.draws for item in outcomes) / len(ends),
            rejected_draws=sum(item.draws_rejected / item.draws for item in outcomes) / len(ends),
        )


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """The examples of one cell, put to a defense.

    Attributes:
        made_against: Defense that the attack saw.
        epsilon: Exact decimal text.
        n: Images with a kept example and a stored outcome.
        draws: How often each image was judged now.
        original: What the run recorded, of the defense that they were made against.
        now: What the defense makes of them now.
        alike: Images with the same outcome then and now.
    """

    made_against: str
    epsilon: str
    n: int
    draws: int
    original: Ending
    now: Ending
    alike: int


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What of one cell cannot be replayed.

    Attributes:
        made_against: Defense that the attack saw.
        epsilon: Exact decimal text.
        n: Images with a stored outcome and no kept example.
    """

    made_against: str
    epsilon: str
    n: int


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The kept examples of an attack, put to a defense.

    Attributes:
        run: Id.
        attack: Name.
        norm: Of the balls, ``linf`` or ``l2``.
        defense: To which they were put.
        form: ``float`` as they were judged, or ``8-bit`` as an image file would have them.
        unchanged: Whether it has the weights and the threshold of the defense of that name in the run; None if the run
            has none.
        rows: By defense that the examples were made against, then by epsilon, ascending.
        missing: In the same order, where some or all examples are.
    """

    run: str
    attack: str
    norm: str
    defense: str
    form: str
    unchanged: bool | None
    rows: tuple[Replayed, ...]
    missing: tuple[Missing, ...]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which examples to replay.

    Attributes:
        run: Beginning of a run's id; None for the newest.
        attack: Name; None for ``adaptive`` or ``worst-case``, else the first of the run.
        made_against: Defense that the examples were made against; None for all of the run.
        epsilon: Decimal text, or several as in ``--epsilons``; None for all that have examples.
        form: ``float`` or ``8-bit``.
    """

    run: str | None = None
    attack: str | None = None
    made_against: str | None = None
    epsilon: str | None = None
    form: str = "float"


def replay(
    db: str,
    wanted: Wanted,
    overrides: Overrides,
    *,
    resolve: Callable[[Overrides], RunRequest],
    catalog: Catalog,
    progress: Progress,
) -> Replay:
    """Put kept examples to a defense; see ``Session.replay``."""
    if wanted.form not in FORMS:
        message = f'--form: unknown form "{wanted.form}"'
        raise UsageError(message, f"choose one of {', '.join(FORMS)}")
    with ResultStore.open(db, create=False) as store:
        stored = StoredRun.load(store, wanted.run)
        attack = stored.attack_named(wanted.attack)
        recorded = [(cell, store.outcomes(stored.run.id, cell.key)) for cell in _cells(stored, attack, wanted)]
    root = examples_folder(db)
    if not keeps_any(root, [cell for cell, _ in recorded]):
        raise _nothing_kept(stored, attack, root)
    keep_freed_memory()
    bench = Workbench(_request(stored, recorded[0][0].device, overrides, resolve), catalog, progress)
    prepared = _prepare(stored, bench)
    deployed = prepared.deployed
    runner = Runner(
        bench.splits.test, bench.references, seed=stored.run.seed, device=bench.device, rows=bench.batch_size
    )
    rows, missing = [], []
    with progress.task(f"{deployed.name}: replay {attack}", len(recorded), "cells") as task:
        for done, (cell, outcomes) in enumerate(recorded, start=1):
            kept = read_kept(root, cell, bench.splits.test, eight_bit=wanted.form == "8-bit")
            original = [item for item in outcomes if item.position in kept]
            if original:
                positions = [item.position for item in original]
                images = torch.stack([kept[position] for position in positions])
                draws = _draws(cell) if deployed.stochastic else 1
                now = runner.judge(prepared, _PURPOSE, positions, images[:, None], draws=draws)
                rows.append(_row(cell, draws, original, now))
            if len(original) < len(outcomes):
                lacking = len(outcomes) - len(original)
                missing.append(Missing(made_against=cell.defense, epsilon=cell.epsilon, n=lacking))
            task.update(done)
    if not rows:
        raise _nothing_kept(stored, attack, root)
    facts = stored.facts(deployed.name)
    return Replay(
        run=stored.run.id,
        attack=attack,
        norm=recorded[0][0].norm,
        defense=deployed.name,
        form=wanted.form,
        unchanged=_same(facts, prepared) if facts else None,
        rows=tuple(rows),
        missing=tuple(missing),
    )


def _nothing_kept(stored: StoredRun, attack: str, root: Path) -> UsageError:
    message = f"no such examples of {attack} in run {stored.run.id} are kept in {root}"
    return UsageError(message, "run its command with --keep-examples, and with another --db if it is complete")


def _cells(stored: StoredRun, attack: str, wanted: Wanted) -> list[Cell]:
    """Return the cells whose examples are wanted, at least one."""
    if wanted.made_against is not None:
        stored.require_defense(wanted.made_against)
        sources = [wanted.made_against]
    else:
        # Not every defense has every attack: what searches for rejections needs one that rejects.
        having = {cell.defense for cell in stored.cells if cell.attack == attack}
        sources = [name for name in stored.defenses if name in having] or [stored.defenses[0]]
    found = [cell for name in sources for cell in stored.cells_of(name, attack).values()]
    if wanted.epsilon is None:
        return found
    texts, known = parse_epsilons(wanted.epsilon, "--epsilon"), list(dict.fromkeys(cell.epsilon for cell in found))
    for text in texts:
        if text not in known:
            message = f"run {stored.run.id} has no outcomes of {attack} at epsilon {text}"
            raise UsageError(message, f"it has {', '.join(known)}")
    return [cell for cell in found if cell.epsilon in texts]


def _request(
    stored: StoredRun, device: str, overrides: Overrides, resolve: Callable[[Overrides], RunRequest]
) -> RunRequest:
    """Return the request that prepares the defense as the run would have; what it did not record is as today."""
    run = stored.run
    request = resolve(
        dataclasses.replace(
            overrides,
            dataset=run.dataset,
            classifier=overrides.classifier or run.classifier,
            profile=run.profile,
            images=run.images,
            seed=run.seed,
            device=overrides.device or device,
        )
    )
    parameters = dict(request.parameters)
    theirs = stored.details.get("classifier")
    if isinstance(theirs, dict) and isinstance(theirs.get("parameters"), dict):
        parameters[run.classifier] = {**theirs["parameters"], **request.settings.get(run.classifier, {})}
    for name in request.defenses:
        recorded = stored.facts(name).get("parameters")
        if isinstance(recorded, dict):
            parameters[name] = {**recorded, **request.settings.get(name, {})}
    rate = stored.details.get("false_positive_rate")  # runs of an older robench do not say
    return dataclasses.replace(
        request,
        calibration=str(stored.details.get("calibration", request.calibration)),
        false_positive_rate=rate if isinstance(rate, float) else request.false_positive_rate,
        parameters=parameters,
    )


def _prepare(stored: StoredRun, bench: Workbench) -> Prepared:
    """Prepare the defense on the data and the classifier of the run.

    Raises:
        RobenchError: If either is another one now.
    """
    _expect(stored, "test split", "data_digest", bench.splits.test.digest)
    classifier = bench.workshop.train_classifier(bench.classifier).module
    _expect(stored, "classifier", "classifier_digest", module_digest(classifier))
    (offer,) = bench.defenses
    return bench.workshop.prepare(offer, classifier)


def _expect(stored: StoredRun, what: str, key: str, digest: str) -> None:
    if stored.details.get(key) != digest:
        message = f"the {what} is not that of run {stored.run.id}: its SHA-256 differs"
        raise RobenchError(message, "replay with the data, the cache and the versions that made the run")


def _draws(cell: Cell) -> int:
    """Return how often a run asks a stochastic defense about the examples of such a cell."""
    if cell.ensemble:
        return FINAL_DRAWS
    return JUDGING_DRAWS if cell.knowledge == "adaptive" else 1


def _row(cell: Cell, draws: int, original: Sequence[ImageOutcome], now: Sequence[ImageOutcome]) -> Replayed:
    return Replayed(
        made_against=cell.defense,
        epsilon=cell.epsilon,
        n=len(now),
        draws=draws,
        original=Ending.of(original),
        now=Ending.of(now),
        alike=sum(then.outcome is today.outcome for then, today in zip(original, now, strict=True)),
    )


def _same(facts: Mapping[str, object], prepared: Prepared) -> bool:
    return (facts.get("digest"), facts.get("threshold")) == (prepared.digest, prepared.deployed.threshold)
