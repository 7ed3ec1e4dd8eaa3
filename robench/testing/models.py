"""Small models for the checks: what a defense is built around, and what an attack is set on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from robench.api import (
    AttackContext,
    Candidate,
    Candidates,
    ClassifierSpec,
    DefenseSpec,
    FitContext,
    ModelContext,
    Network,
    NoParameters,
    PluginError,
    Recipe,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from robench.api import ImageRandom

_RECIPE = Recipe(epochs=4, batch_size=32, learning_rate=0.02)


class Counter:
    """Counts what goes through a model and its copies.

    Attributes:
        count: So far.
        most: What is too much; no number is by default.
    """

    def __init__(self) -> None:
        self.count, self.most = 0, float("inf")

    def __deepcopy__(self, memo: dict[int, object]) -> Counter:
        """Return itself: the search form of a defense counts here too."""
        return self


class Linear(nn.Module):
    """One linear layer. It counts the gradients that are taken of its answers.

    Args:
        shape: Channels, height and width of an image.
        classes: Number K of classes.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.layer = nn.Linear(channels * height * width, classes)
        self.gradients = Counter()

    def forward(self, images: Tensor) -> Tensor:
        """Classify images, shape (N, C, H, W); returns logits, shape (N, K)."""
        logits: Tensor = self.layer(images.flatten(1))
        if logits.requires_grad:
            logits.register_hook(self._count)  # type: ignore[no-untyped-call]
        return logits

    def _count(self, gradient: Tensor) -> None:  # noqa: ARG002
        self.gradients.count += 1


def _cross_entropy(module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    return {"loss": functional.cross_entropy(module(images).float(), labels)}


def _linear(context: ModelContext[NoParameters]) -> Network:
    return Network(
        name="testing-linear",
        build=lambda: Linear(context.shape, context.classes),
        loss=_cross_entropy,
        recipe=_RECIPE,
        architecture={"shape": str(context.shape), "classes": context.classes},
    )


LINEAR = ClassifierSpec(
    name="testing-linear", summary="one linear layer", source="made up", parameters=NoParameters, network=_linear
)


class Plain(nn.Module):
    """The classifier as it is."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Verdict:
        """Classify images, shape (N, C, H, W)."""
        return Verdict(logits=self.classifier(images))


class Detecting(Plain):
    """Rejects images of high contrast, which those are that have been moved far."""

    def forward(self, images: Tensor) -> Verdict:
        """Classify images, shape (N, C, H, W), and give their contrast."""
        return Verdict(logits=self.classifier(images), score=(images - 0.5).square().mean((1, 2, 3)))


class Noisy(Plain):
    """Adds noise."""

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:  # type: ignore[override]
        """Classify images, shape (N, C, H, W), under a draw of noise."""
        return Verdict(logits=self.classifier(images + 0.05 * random.normal(*images.shape[1:])))


class Selecting(Plain):
    """Moves each image half way to the prototype of every class and takes the one that was closest."""

    def __init__(self, classifier: nn.Module, prototypes: nn.Module) -> None:
        super().__init__(classifier)
        self.prototypes = prototypes

    def candidates(self, images: Tensor) -> Candidates:
        """Return one candidate for each class."""
        prototypes = self.prototypes(images)
        errors = (images[:, None] - prototypes).square().mean((2, 3, 4))

        def take(choice: Tensor) -> Candidate:
            moved = (images + prototypes[choice]) / 2
            return Candidate(images=moved, logits=self.classifier(moved), error=errors.gather(1, choice[:, None])[:, 0])

        return Candidates(errors=errors.detach(), take=take)

    def forward(self, images: Tensor) -> Verdict:
        """Classify the candidate of least error."""
        found = self.candidates(images)
        return Verdict(logits=found.take(found.errors.argmin(1)).logits)


class Prototypes(nn.Module):
    """One image of each class, learnt as the mean."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.images = nn.Parameter(torch.full((classes, *shape), 0.5))

    def forward(self, images: Tensor) -> Tensor:  # noqa: ARG002
        """Return the prototypes, shape (K, C, H, W)."""
        return self.images


class Constant(Plain):
    """Answers every image alike. It ends an attack that asks without end.

    Args:
        classifier: Gives the number of classes.
        connected: Whether answers are connected to the images, by a gradient that is zero everywhere.
    """

    def __init__(self, classifier: nn.Module, *, connected: bool) -> None:
        super().__init__(classifier)
        self.connected = connected
        self.calls = Counter()

    def forward(self, images: Tensor) -> Verdict:
        """Answer images, shape (N, C, H, W), with the same logits each."""
        self.calls.count += 1
        if self.calls.count > self.calls.most:
            message = (
                f"it has asked {self.calls.most:,.0f} times about a few images that no attack can win, and goes on"
            )
            raise PluginError(message, "bound the number of its steps, or declare their cost")
        logits = self.classifier(torch.full_like(images, 0.5))
        return Verdict(logits=logits + images.flatten(1).sum(1, keepdim=True) * 0 if self.connected else logits)


def _mean_image(module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    return {"loss": functional.mse_loss(module(images)[labels], images)}


def _prototypes(context: ModelContext[NoParameters]) -> list[Network]:
    return [
        Network(
            name="testing-prototypes",
            build=lambda: Prototypes(context.shape, context.classes),
            loss=_mean_image,
            recipe=_RECIPE,
            architecture={"shape": str(context.shape), "classes": context.classes},
        )
    ]


def _threshold(context: FitContext) -> float:
    """Leave room above clean images: there must be something to win between them and what is rejected."""
    scores = [context.defense(batch).score for batch in context.batches]
    return 1.3 * float(torch.cat(scores).max())


def _defense(
    name: str, build: Callable[[nn.Module, Mapping[str, nn.Module]], nn.Module], **declared: object
) -> DefenseSpec[NoParameters]:
    return DefenseSpec(
        name=name,
        summary=name,
        source="made up",
        parameters=NoParameters,
        build=lambda context, networks: build(context.require_classifier(), networks),
        **declared,  # type: ignore[arg-type]
    )


TARGETS: Mapping[str, DefenseSpec[NoParameters]] = {
    "plain": _defense("plain", lambda classifier, _: Plain(classifier)),
    "detecting": _defense("detecting", lambda classifier, _: Detecting(classifier), rejecting=True, fit=_threshold),
    "stochastic": _defense("stochastic", lambda classifier, _: Noisy(classifier), stochastic=True),
    "selecting": _defense(
        "selecting",
        lambda classifier, networks: Selecting(classifier, networks["testing-prototypes"]),
        networks=_prototypes,
        selecting=True,
    ),
    "flat": _defense("flat", lambda classifier, _: Constant(classifier, connected=True)),
    "cut-off": _defense("cut-off", lambda classifier, _: Constant(classifier, connected=False)),
}
"""Defenses to attack. ``flat`` has a gradient of zero everywhere, ``cut-off`` has none."""


def random_corner(context: AttackContext[NoParameters]) -> Tensor:
    """Move every image to a random corner of its ball: what every attack has to beat."""
    signs = (context.random.uniform(*context.images.shape[1:]) - 0.5).sign()
    step = context.budget.epsilon
    if context.budget.norm == "l2":
        step /= signs[0].numel() ** 0.5
    return (context.images + step * signs).clamp(0, 1)
