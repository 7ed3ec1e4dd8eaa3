"""my-classifier: two convolutions, for images of any shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.api import ClassifierSpec, ModelContext, Network, Recipe, UsageError, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

ROBENCH_API = 1  # the major version of robench.api that this is written for


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a user may set, in benchmarks.toml or by ``--set my-classifier.width=64``. Every field needs a default.

    Attributes:
        width: Number of channels, at least 1.
    """

    width: int = 16

    def __post_init__(self) -> None:
        """Refuse what cannot be: a UsageError is shown to the user as it is."""
        if self.width < 1:
            message = f"my-classifier: width is {self.width}"
            raise UsageError(message, "give a positive number")


def network(context: ModelContext[Parameters]) -> Network:
    """Describe what robench trains. Torch is imported here, not above: listing plugins must be quick.

    Raise ``UsageError`` for a ``context.shape`` that it does not fit.
    """
    from my_classifier._torch import build, cross_entropy

    width = context.parameters.width
    return Network(
        name="my-classifier",
        build=lambda: build(context.shape[0], context.classes, width),
        loss=cross_entropy,
        recipe=Recipe(epochs=2 if context.profile == "quick" else 20, batch_size=64, learning_rate=3e-3),
        architecture={"width": width},  # whatever shapes the network or its loss: other values, other weights
    )


@hookimpl
def robench_classifiers() -> Iterable[ClassifierSpec[Parameters]]:
    """Called once, when robench starts."""
    return [
        ClassifierSpec(
            name="my-classifier",
            summary="two convolutions",
            source="made up",  # where you have it from
            parameters=Parameters,
            network=network,
        )
    ]
