"""``robench verify-engine``: the native forms of attacks beside the plain ones, image by image."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.analysis.intervals import wilson
from robench.api import UsageError
from robench.api.records import Outcome
from robench.engine.memory import keep_freed_memory
from robench.engine.plan import Assault
from robench.engine.runner import Runner
from robench.session.workbench import Workbench

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from robench.api.records import ImageOutcome
    from robench.config.request import RunRequest
    from robench.engine.prepare import Offer, Prepared
    from robench.engine.progress import Progress
    from robench.registry.catalog import Catalog

_SAME_PIXEL = 1e-6
_SAME_OUTCOMES = 0.99
"""Share of images that must end alike in float32; a last digit may decide about an image at the border."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One attack on one defense at one epsilon, by the library and by the engine.

    Attributes:
        defense, attack, norm, epsilon: What is compared.
        images: Number n.
        same_pixels: Share of pixels that differ by no more than 1e-6, engine in float32.
        same_outcomes: Number of images that end alike, engine in float32.
        library, engine: Robust accuracy by the library and by the engine in float32.
        precision: Number format of searches in a run.
        fast: Robust accuracy by the engine in that format.
        agrees: Whether 99 % of the images end alike in float32, and ``fast`` is in the 95 % interval of ``library``.
    """

    defense: str
    attack: str
    norm: str
    epsilon: str
    images: int
    same_pixels: float
    same_outcomes: int
    library: float
    engine: float
    precision: str
    fast: float
    agrees: bool


def verify_engine(request: RunRequest, catalog: Catalog, progress: Progress) -> list[Comparison]:
    """Compare both forms of every attack that has two; nothing is stored.

    Args:
        request: Which defenses, attacks, epsilons and images.
        catalog: Where their names are looked up.
        progress: Told of long work.

    Raises:
        RobenchError: If no attack has two forms, or a defense cannot be prepared.
    """
    keep_freed_memory()
    bench = Workbench(request, catalog, progress)
    attacks = [offer for offer in bench.attacks if offer.spec.run is not None and offer.spec.sweep is not None]
    if not attacks:
        message = f"none of {', '.join(request.attacks)} has both a plain and a native form"
        raise UsageError(message, "compare fgsm, bim or pgd")
    if request.images > len(bench.splits.test):
        message = f"--images {request.images}: the test split has {len(bench.splits.test):,} images"
        raise UsageError(message, f"ask for at most {len(bench.splits.test)}")
    classifier = bench.workshop.train_classifier(bench.classifier).module
    comparisons = []
    for defense in bench.defenses:
        prepared = bench.workshop.prepare(defense, classifier)
        rows = bench.batch_size_for(prepared)
        runner = Runner(
            bench.splits.test, bench.references, seed=request.seed, device=bench.device, rows=rows, norm=request.norm
        )
        exact = dataclasses.replace(prepared, search=bench.workshop.search_form(prepared.deployed, "float32"))
        for offer in attacks:
            sides = _Sides(runner, prepared, exact, offer, request)
            with progress.task(
                f"{prepared.deployed.name}: {offer.spec.name}", len(request.epsilons), "epsilons"
            ) as task:
                for done, epsilon in enumerate(request.epsilons, start=1):
                    comparisons.append(sides.compare(epsilon))
                    task.update(done)
    return comparisons


class _Sides:
    """Both forms of one attack on one defense."""

    def __init__(self, runner: Runner, prepared: Prepared, exact: Prepared, offer: Offer, request: RunRequest) -> None:
        self._runner, self._prepared, self._exact = runner, prepared, exact
        self._plain, self._native = (Assault(offer=offer, form=form) for form in ("plain", "sweep"))
        self._positions, self._norm = range(request.images), request.norm

    def compare(self, epsilon: str) -> Comparison:
        library, theirs = self._outcomes(self._exact, self._plain, epsilon)
        engine, ours = self._outcomes(self._exact, self._native, epsilon)
        fast, _ = self._outcomes(self._prepared, self._native, epsilon)
        same = sum(left.outcome is right.outcome for left, right in zip(library, engine, strict=True))
        robust = sum(item.outcome is not Outcome.WRONG for item in library)
        low, high = wilson(robust, len(library))
        return Comparison(
            defense=self._prepared.deployed.name,
            attack=self._plain.name,
            norm=self._norm,
            epsilon=epsilon,
            images=len(library),
            same_pixels=float(((ours - theirs).abs() <= _SAME_PIXEL).double().mean()),
            same_outcomes=same,
            library=robust / len(library),
            engine=_accuracy(engine),
            precision=self._prepared.search.precision,
            fast=_accuracy(fast),
            agrees=same >= _SAME_OUTCOMES * len(library) and low <= _accuracy(fast) <= high,
        )

    def _outcomes(self, prepared: Prepared, assault: Assault, epsilon: str) -> tuple[Sequence[ImageOutcome], Tensor]:
        examples = self._runner.examples(prepared, assault, self._positions, [epsilon])
        return self._runner.judge(prepared, assault.name, self._positions, examples), examples


def _accuracy(outcomes: Sequence[ImageOutcome]) -> float:
    return sum(item.outcome is not Outcome.WRONG for item in outcomes) / len(outcomes)
