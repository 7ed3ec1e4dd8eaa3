"""A small arena: sixteen pixels, three classes, and defenses that are guarded, noisy or selecting as wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robench.api import AttackSpec, Candidate, Candidates, Verdict
from robench.engine.data import LoadedSplit
from robench.engine.deploy import Deployed, freeze
from robench.engine.plan import choose_form
from robench.engine.prepare import Offer, Prepared
from robench.engine.runner import Runner, pick_references
from robench_plugins.attacks import blind, detector, gradient, selection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from robench.api import ImageRandom, Norm
    from robench.api.records import ImageOutcome
    from robench.engine.plan import Assault
    from robench.engine.runner import Attacked

CPU = torch.device("cpu")
CLASSES, SIDE, COUNT = 3, 4, 8

QUICK: dict[str, dict[str, int]] = {
    "forced-class": {"classes": 2, "steps": 12},
    "latent-line": {"classes": 2, "points": 2, "steps": 6},
    "soft-selection": {"steps": 6},
    "transfer": {"steps": 8, "restarts": 2},
    "joint": {"steps": 12, "rounds": 4},
    "selective-pgd": {"steps": 15, "restarts": 2},
    "orthogonal-pgd": {"steps": 15, "restarts": 2},
    "eot-pgd": {"steps": 8, "samples": 4},
    "max-score": {"steps": 8},
    "noise": {"draws": 4},
    "square-reject": {"queries": 45},
    "hopskipjump-reject": {"steps": 3, "evaluations": 10},
}
"""Parameters with which every attack takes milliseconds."""


class Linear(nn.Module):
    """Images to logits, row by row: what a row gets does not depend on its company, to the last digit."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn(CLASSES, SIDE * SIDE, generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        return ((images.flatten(1) - 0.5)[:, None] * self.weight).sum(2)


class Toy(nn.Module):
    """A defense around ``Linear``.

    Its score is how far the image is from grey, or the error of the chosen candidate if it selects. A candidate is the
    image drawn towards a prototype of its class; drawn all the way, it does not depend on the image any more.
    """

    prototypes: Tensor

    def __init__(self, classifier: Linear, *, noise: float, guarded: bool, selecting: bool, pull: float) -> None:
        super().__init__()
        self.classifier, self.noise, self.pull = classifier, noise, pull
        self.guarded, self.selecting = guarded, selecting
        towards = classifier.weight.detach().sign().view(CLASSES, 1, SIDE, SIDE)
        self.register_buffer("prototypes", 0.5 + 0.25 * towards)

    def forward(self, images: Tensor, random: ImageRandom | None = None) -> Verdict:
        if self.selecting:
            found = self.candidates(images, random)
            winner = found.take(found.errors.argmin(1))
            return Verdict(logits=winner.logits, score=winner.error if self.guarded else None)
        seen = self._disturb(images, random)
        score = (seen - 0.5).square().flatten(1).mean(1).sqrt() if self.guarded else None
        return Verdict(logits=self.classifier(seen), score=score)

    def candidates(self, images: Tensor, random: ImageRandom | None = None) -> Candidates:
        seen = self._disturb(images, random)
        drawn = (1 - self.pull) * seen[:, None] + self.pull * self.prototypes
        errors = (drawn - seen[:, None]).square().flatten(2).mean(2)
        each = torch.arange(len(images))

        def take(choice: Tensor) -> Candidate:
            own = drawn[each, choice]
            return Candidate(images=own, logits=self.classifier(own), error=errors[each, choice])

        return Candidates(errors=errors.detach(), take=take)

    def _disturb(self, images: Tensor, random: ImageRandom | None) -> Tensor:
        return images if random is None else images + self.noise * random.normal(*images.shape[1:])


class Constant(nn.Module):
    """Always the same answer, which no attack can change, with or without gradients of zero."""

    def __init__(self, *, differentiable: bool, guarded: bool) -> None:
        super().__init__()
        self.differentiable, self.guarded = differentiable, guarded

    def forward(self, images: Tensor) -> Verdict:
        nothing = images.flatten(1).sum(1) * 0
        nothing = nothing if self.differentiable else nothing.detach()
        logits = nothing[:, None] + torch.tensor([2.0, 1.0, 0.0])
        return Verdict(logits=logits, score=nothing if self.guarded else None)


@dataclass(frozen=True, kw_only=True)
class Arena:
    """Attacks by name against toys by kind, through the engine.

    Attributes:
        specs: All built-in attacks by name.
        new: Names of those that know the defense.
        split: The images.
    """

    specs: dict[str, AttackSpec[Any]]
    new: tuple[str, ...]
    split: LoadedSplit

    def defend(self, kind: str, *, noise: float = 0.05, pull: float = 0.5) -> Prepared:
        """Return a toy; ``kind`` names what it is: ``guarded``, ``noisy`` and ``selecting``, or ``plain``."""
        classifier = Linear()
        guarded, noisy, selecting = (word in kind for word in ("guarded", "noisy", "selecting"))
        module = freeze(Toy(classifier, noise=noise, guarded=guarded, selecting=selecting, pull=pull), CPU)
        threshold = (0.02 if selecting else 0.15) if guarded else None
        return self.deploy(module, classifier, threshold=threshold, stochastic=noisy, selecting=selecting)

    def constant(self, *, differentiable: bool, guarded: bool) -> Prepared:
        """Return a defense that always answers class 0."""
        module = Constant(differentiable=differentiable, guarded=guarded)
        return self.deploy(module, freeze(Linear(), CPU), threshold=0.5 if guarded else None)

    def deploy(
        self,
        module: nn.Module,
        classifier: nn.Module,
        *,
        threshold: float | None = None,
        stochastic: bool = False,
        selecting: bool = False,
    ) -> Prepared:
        """Return a module as a defense that searches on itself."""
        deployed = Deployed(
            name="toy",
            module=module,
            classifier=classifier,
            classes=CLASSES,
            threshold=threshold,
            stochastic=stochastic,
            selecting=selecting,
        )
        return Prepared(
            deployed=deployed, search=deployed, digest="", rule=None, false_positive_rate=None, validation_images=0
        )

    def assault(self, name: str, **parameters: object) -> Assault:
        """Return an attack as an ensemble runs it."""
        spec = self.specs[name]
        values = spec.parameters(**{**QUICK.get(name, {}), **parameters})
        return choose_form(Offer(spec=spec, parameters=values, settings={}, origin={}), "native")

    def runner(self, rows: int = 100, seed: int = 0, norm: Norm = "linf") -> Runner:
        """Return a runner over the images."""
        return Runner(self.split, pick_references(self.split, CPU), seed=seed, device=CPU, rows=rows, norm=norm)

    def attack(
        self,
        name: str,
        prepared: Prepared,
        epsilons: Sequence[str] = ("0.1",),
        *,
        positions: Sequence[int] = range(COUNT),
        rows: int = 100,
        seed: int = 0,
        norm: Norm = "linf",
        **parameters: object,
    ) -> Attacked:
        """Attack and judge."""
        runner, assault = self.runner(rows, seed, norm), self.assault(name, **parameters)
        return runner.attack(prepared, assault, positions, [tuple(epsilons)] * len(positions))

    def clean(self, prepared: Prepared) -> list[ImageOutcome]:
        """Judge the images as they are."""
        found = self.runner().attack(prepared, None, range(COUNT), [("0",)] * COUNT)
        return [outcome for (outcome,) in found.outcomes]


@pytest.fixture(scope="session")
def arena() -> Arena:
    """Eight images that the classifier gets right, with the built-in attacks."""
    generator = torch.Generator().manual_seed(1)
    images = 0.3 + 0.4 * torch.rand(COUNT, 1, SIDE, SIDE, generator=generator)
    with torch.no_grad():
        labels = Linear()(images).argmax(1)
    modules = (blind, detector, selection)
    new = [spec for module in modules for spec in module.robench_attacks()]
    specs: dict[str, AttackSpec[Any]] = {spec.name: spec for spec in (*gradient.robench_attacks(), *new)}
    split = LoadedSplit(images=images.numpy().astype(np.float32), labels=labels.numpy(), digest="")
    return Arena(specs=specs, new=tuple(spec.name for spec in new), split=split)
