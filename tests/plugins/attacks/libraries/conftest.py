"""Small defenses and batches on which attacks of libraries are tried in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from robench.api import AttackContext, Budget, References, Verdict
from robench.engine.deploy import BoundTarget, Deployed, Memo, freeze
from robench.engine.seeding import ImageStreams
from robench_plugins.attacks import autoattack, foolbox_attacks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from robench.api import AttackSpec, ImageRandom, Norm

CPU = torch.device("cpu")
COUNT, CLASSES, CHANNELS, SIDE = 6, 4, 3, 8

SPECS: dict[str, AttackSpec[Any]] = {
    spec.name: spec for module in (foolbox_attacks, autoattack) for spec in module.robench_attacks()
}
QUICK: dict[str, dict[str, int | float]] = {
    "cw": {"searches": 4, "steps": 40, "step_size": 0.05, "initial_weight": 1.0},
    "deepfool": {"steps": 20},
    "hopskipjump": {"steps": 3, "first_evaluations": 10, "evaluations": 20},
    "boundary": {"steps": 120},
    "uniform-noise": {"draws": 8},
    "gaussian-noise": {"draws": 8},
    "apgd": {"steps": 10, "restarts": 2},
    "apgd-t": {"steps": 8},
    "fab": {"steps": 8},
    "square": {"queries": 30},
}
"""Parameters with which every attack takes milliseconds; ``autoattack`` has none."""


class Elementwise(nn.Module):
    """Images to logits, row by row: what a row gets does not depend on its company, to the last digit."""

    weight: Tensor
    slope: Tensor

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        size = CHANNELS * SIDE * SIDE
        self.register_buffer("weight", torch.randn(classes, size, generator=generator))
        self.register_buffer("slope", 1 + torch.rand(size, generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        bent = ((images.flatten(1) - 0.5) * self.slope).tanh()
        return (bent[:, None] * self.weight).sum(2)


class Convolution(nn.Module):
    """The same with parameters and, as the engine stores it, gradients in another memory format."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.first, self.last = nn.Conv2d(CHANNELS, 8, 3), nn.Linear(8 * (SIDE - 2) ** 2, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = 4 * self.last(self.first(images).relu().flatten(1))
        return logits


class Defense(nn.Module):
    """A classifier that rejects what is answered with class 1, or nothing."""

    def __init__(self, classifier: nn.Module, *, guarded: bool, noise: float) -> None:
        super().__init__()
        self.classifier, self.guarded, self.noise = classifier, guarded, noise

    def forward(self, images: Tensor, random: ImageRandom | None = None) -> Verdict:
        seen = images if random is None else images + self.noise * random.normal(*images.shape[1:])
        logits = self.classifier(seen)
        score = (logits[:, 1] - logits[:, [0, 2, 3]].amax(1)) if self.guarded else None
        return Verdict(logits=logits, score=score)


class Constant(nn.Module):
    """Always class 0 by far, with a gradient of zero or none."""

    def __init__(self, classes: int, *, differentiable: bool) -> None:
        super().__init__()
        self.classes, self.differentiable = classes, differentiable

    def forward(self, images: Tensor) -> Tensor:
        nothing = images.flatten(1).sum(1) * 0
        nothing = nothing if self.differentiable else nothing.detach()
        return nothing[:, None] - 10.0 * torch.arange(self.classes)


@dataclass(frozen=True, kw_only=True)
class Laboratory:
    """Attacks by name against small defenses, without the engine's runner.

    Attributes:
        images: Shape (N, C, H, W); some pixels are 0 or 1.
        specs: The attacks by name.
    """

    images: Tensor
    specs: dict[str, AttackSpec[Any]]

    def defend(self, kind: str = "plain", classifier: str = "elementwise", classes: int = CLASSES) -> Deployed:
        """Return a defense; ``kind`` names what it is: ``guarded``, ``noisy``, or ``plain``."""
        modules: dict[str, Callable[[], nn.Module]] = {
            "elementwise": lambda: Elementwise(classes),
            "convolution": Convolution,
            "constant": lambda: Constant(classes, differentiable=True),
            "blocked": lambda: Constant(classes, differentiable=False),
        }
        module = freeze(modules[classifier](), CPU)
        guarded, noisy = "guarded" in kind, "noisy" in kind
        return Deployed(
            name="toy",
            module=freeze(Defense(module, guarded=guarded, noise=0.05), CPU),
            classifier=module,
            classes=classes,
            threshold=0.0 if guarded else None,
            stochastic=noisy,
        )

    def labels(self, deployed: Deployed) -> Tensor:
        """Return the classes that the bare classifier gives, which are the true ones here."""
        with torch.no_grad():
            return deployed.classifier(self.images).argmax(1)  # type: ignore[no-any-return]

    def context(
        self,
        name: str,
        deployed: Deployed,
        *,
        epsilon: float = 0.1,
        norm: Norm = "linf",
        rows: Sequence[int] = range(COUNT),
        seed: int = 0,
        memo: Memo | None = None,
        **parameters: float,
    ) -> AttackContext[Any]:
        """Return what the engine hands to an attack."""
        spec = self.specs[name]
        random = ImageStreams(rows, CPU, "attack", seed)
        labels = self.labels(deployed)
        chosen = list(rows)
        return AttackContext(
            target=BoundTarget(deployed, random, memo=memo),
            images=self.images[chosen],
            labels=labels[chosen],
            budget=Budget(epsilon=torch.inf if spec.minimal else epsilon, norm=norm),
            random=random,
            parameters=spec.parameters(**{**QUICK.get(name, {}), **parameters}),
            references=References(images=self.images, labels=labels),
        )

    def attack(self, context: AttackContext[Any], name: str) -> Tensor:
        """Return the attacked images."""
        spec = self.specs[name]
        form = spec.run or spec.minimal
        assert form is not None
        return form(context)

    def try_out(self, name: str, deployed: Deployed, **settings: Any) -> Tensor:
        """Set up a batch and attack it."""
        return self.attack(self.context(name, deployed, **settings), name)

    def outcomes(self, deployed: Deployed, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return who is accepted as a wrong class, and who is rejected, both of shape (N,), without randomness."""
        with torch.no_grad():
            verdict = deployed.module(images)
        rejected = deployed.rejects(verdict.score, verdict.logits)
        return (verdict.logits.argmax(1) != self.labels(deployed)) & ~rejected, rejected


@pytest.fixture(scope="session")
def laboratory() -> Laboratory:
    """Six images of three channels, of which every tenth pixel is black and every tenth white."""
    generator = torch.Generator().manual_seed(7)
    images = torch.rand(COUNT, CHANNELS, SIDE, SIDE, generator=generator)
    flat = images.view(-1)
    flat[::10], flat[5::10] = 0.0, 1.0
    return Laboratory(images=images, specs=SPECS)
