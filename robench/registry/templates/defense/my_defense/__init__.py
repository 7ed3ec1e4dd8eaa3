"""my-defense: smooths images, and rejects those whose answer changes when they are smoothed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.api import DefenseSpec, ModelContext, UsageError, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import nn

ROBENCH_API = 1  # the major version of robench.api that this is written for


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a user may set, in benchmarks.toml or by ``--set my-defense.width=5``. Every field needs a default.

    Attributes:
        width: Of the square that is averaged, in pixels, odd.
    """

    width: int = 3

    def __post_init__(self) -> None:
        """Refuse what cannot be: a UsageError is shown to the user as it is."""
        if self.width < 1 or self.width % 2 == 0:
            message = f"my-defense: width is {self.width}"
            raise UsageError(message, "give an odd number")


def build(context: ModelContext[Parameters], networks: Mapping[str, nn.Module]) -> nn.Module:
    """Return the module. Torch is imported here, not above: listing plugins must be quick."""
    from my_defense._torch import SmoothedClassifier

    return SmoothedClassifier(context.require_classifier(), context.parameters.width)


@hookimpl
def robench_defenses() -> Iterable[DefenseSpec[Parameters]]:
    """Called once, when robench starts."""
    return [
        DefenseSpec(
            name="my-defense",
            summary="averages neighbouring pixels and rejects what that changes",
            source="after Xu et al. (2018), Feature Squeezing",  # where you have it from
            parameters=Parameters,
            build=build,
            rejecting=True,  # its verdicts have a score; robench fixes the threshold on clean images
            # stochastic=True: forward(images, random) draws from `random`, and from nothing else
            # networks=...: networks that robench trains for it; fit=...: a threshold of its own
        )
    ]
