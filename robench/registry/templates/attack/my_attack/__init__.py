"""my-attack: raises the margin of the best wrong class, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.api import AttackSpec, SweepContext, UsageError, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from robench.api import Target

ROBENCH_API = 1  # the major version of robench.api that this is written for


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a user may set, in benchmarks.toml or by ``--set my-attack.steps=100``. Every field needs a default.

    Attributes:
        steps: Number of gradient steps, at least 1.
    """

    steps: int = 20

    def __post_init__(self) -> None:
        """Refuse what cannot be: a UsageError is shown to the user as it is."""
        if self.steps < 1:
            message = f"my-attack: steps is {self.steps}"
            raise UsageError(message, "give a positive number")


def margin(target: Target, images: Tensor, labels: Tensor) -> Tensor:
    """Return by how much the best wrong class beats the right one, shape (N,): robench raises it.

    ``target.verdict(images).score`` and ``target.threshold`` are there for attacks that mind the detector.
    """
    logits = target.verdict(images).logits
    right = logits.gather(1, labels[:, None])[:, 0]
    wrong = logits.scatter(1, labels[:, None], -float("inf")).amax(1)
    return wrong - right


def search(context: SweepContext[Parameters]) -> Tensor:
    """Return attacked images, shape (N, E, C, H, W): one for each image and each of its epsilons.

    ``ascend`` keeps them in their balls and in [0, 1]. Whatever you draw yourself, draw it from ``context.random``.
    """
    return context.ascend(margin, steps=context.parameters.steps, relative_step=0.1)


@hookimpl
def robench_attacks() -> Iterable[AttackSpec[Parameters]]:
    """Called once, when robench starts."""
    return [
        AttackSpec(
            name="my-attack",
            summary="raises the margin of the best wrong class",
            source="after Carlini & Wagner (2017), section IV",  # where you have it from
            knowledge="naive",  # it sees the deployed defense as one function, and not its score
            parameters=Parameters,
            sweep=search,
            # run=...: instead, an attack at one epsilon through any library; minimal=...: the closest wrong image
            # effort="standard": also run it where a user asks for --attack adaptive
        )
    ]
