"""Attacks on the choice among candidates: the forced class, the line towards it, and the softened choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.api import AttackSpec, SweepContext, hookimpl
from robench_plugins.attacks._checks import at_least_one

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from robench.api import Target


@dataclass(frozen=True, kw_only=True)
class ForcedClassParameters:
    """What can be set of the forced class.

    Attributes:
        classes: How many wrong classes to try for each image, at least 1.
        steps: Number of gradient steps for each, at least 1.
    """

    classes: int = 9
    steps: int = 60

    def __post_init__(self) -> None:
        at_least_one(self, "forced-class", "classes", "steps")


@dataclass(frozen=True, kw_only=True)
class LatentLineParameters:
    """What can be set of the line towards another class.

    Attributes:
        classes: How many wrong classes to try for each image, at least 1.
        points: How many points of the line to try, at least 1.
        steps: Number of gradient steps from its end, at least 1.
    """

    classes: int = 3
    points: int = 4
    steps: int = 20

    def __post_init__(self) -> None:
        at_least_one(self, "latent-line", "classes", "points", "steps")


@dataclass(frozen=True, kw_only=True)
class SoftSelectionParameters:
    """What can be set of the softened choice.

    Attributes:
        steps: Number of gradient steps at each of three temperatures, at least 1.
    """

    steps: int = 20

    def __post_init__(self) -> None:
        at_least_one(self, "soft-selection", "steps")


def _forced_class(context: SweepContext[ForcedClassParameters]) -> Tensor:
    from robench_plugins.attacks._selection_torch import forced_class

    return forced_class(context)


def _latent_line(context: SweepContext[LatentLineParameters]) -> Tensor:
    from robench_plugins.attacks._selection_torch import latent_line

    return latent_line(context)


def _soft_selection(context: SweepContext[SoftSelectionParameters]) -> Tensor:
    from robench_plugins.attacks._selection_torch import soft_selection

    return soft_selection(context)


def _selects(target: Target) -> bool:
    return target.selecting


@hookimpl
def robench_attacks() -> Iterable[
    AttackSpec[ForcedClassParameters] | AttackSpec[LatentLineParameters] | AttackSpec[SoftSelectionParameters]
]:
    """Offer ``forced-class``, ``latent-line`` and ``soft-selection``."""
    return [
        AttackSpec(
            name="forced-class",
            summary="makes the defense choose, accept and answer a wrong class, one after the other",
            source="a margin for each condition, as Carlini & Wagner (2017), section 5.2, has for one",
            knowledge="adaptive",
            parameters=ForcedClassParameters,
            norms=("linf", "l2"),
            sweep=_forced_class,
            effort="quick",
            cost=300.0,
            presets={
                "quick": {"steps": 40},
                "thorough": {"classes": 99, "steps": 200},
            },
        ),
        AttackSpec(
            name="latent-line",
            summary="walks towards the reconstruction as another class, then forces that class",
            source="interpolation of Brendel et al. (2018), Boundary attack, section 3, as a start for gradients",
            knowledge="adaptive",
            parameters=LatentLineParameters,
            norms=("linf", "l2"),
            sweep=_latent_line,
            effort="standard",
            cost=150.0,
            presets={"thorough": {"classes": 9, "points": 10, "steps": 60}},
        ),
        AttackSpec(
            name="soft-selection",
            summary="gradients through a softened choice among candidates, ever sharper",
            source="Athalye et al. (2018), section 4.1 (a differentiable stand-in)",
            knowledge="adaptive",
            parameters=SoftSelectionParameters,
            norms=("linf", "l2"),
            sweep=_soft_selection,
            effort="standard",
            cost=200.0,
            presets={"thorough": {"steps": 100}},
            suits=_selects,
        ),
    ]
