"""Attacks that use no gradient: noise, Square and HopSkipJump, both of which mind the detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.api import AttackContext, AttackSpec, SweepContext, UsageError, hookimpl
from robench_plugins.attacks._checks import at_least_one

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class NoiseParameters:
    """What can be set of random noise.

    Attributes:
        draws: Number of corners of the ball to try, at least 1.
    """

    draws: int = 4

    def __post_init__(self) -> None:
        at_least_one(self, "noise", "draws")


@dataclass(frozen=True, kw_only=True)
class SquareParameters:
    """What can be set of Square.

    Attributes:
        queries: Number of windows to try, at least 1.
        first_share: Share of the pixels that the first windows cover, in (0, 1].
    """

    queries: int = 300
    first_share: float = 0.8

    def __post_init__(self) -> None:
        at_least_one(self, "square-reject", "queries")
        if not 0 < self.first_share <= 1:
            message = f"square-reject: first_share is {self.first_share}"
            raise UsageError(message, "give a number in (0, 1]")


@dataclass(frozen=True, kw_only=True)
class BoundaryParameters:
    """What can be set of HopSkipJump.

    Attributes:
        steps: Number of walks along the border, at least 1.
        evaluations: Most queries for one estimate of the border's direction, at least 1.
    """

    steps: int = 10
    evaluations: int = 500

    def __post_init__(self) -> None:
        at_least_one(self, "hopskipjump-reject", "steps", "evaluations")


def _noise(context: SweepContext[NoiseParameters]) -> Tensor:
    from robench_plugins.attacks._blind_torch import noise

    return noise(context)


def _square(context: SweepContext[SquareParameters]) -> Tensor:
    from robench_plugins.attacks._blind_torch import square

    return square(context)


def _hop_skip_jump(context: AttackContext[BoundaryParameters]) -> Tensor:
    from robench_plugins.attacks._boundary_torch import hop_skip_jump

    return hop_skip_jump(context)


@hookimpl
def robench_attacks() -> Iterable[
    AttackSpec[NoiseParameters] | AttackSpec[SquareParameters] | AttackSpec[BoundaryParameters]
]:
    """Offer ``noise``, ``square-reject`` and ``hopskipjump-reject``."""
    return [
        AttackSpec(
            name="noise",
            summary="corners of the ball, in L2 points of its border, drawn blindly",
            source="the baseline that every attack has to beat, Carlini et al. (2019), section 4",
            knowledge="adaptive",
            parameters=NoiseParameters,
            norms=("linf", "l2"),
            sweep=_noise,
            effort="quick",
            cost=4.0,
            presets={"standard": {"draws": 20}, "thorough": {"draws": 100}},
        ),
        AttackSpec(
            name="square-reject",
            summary="random search with square windows, for which a rejection is no success",
            source="Andriushchenko et al. (2020), section 3, on the larger of -margin and the score's excess",
            knowledge="adaptive",
            parameters=SquareParameters,
            sweep=_square,
            effort="standard",
            cost=400.0,
            presets={"thorough": {"queries": 5000}},
        ),
        AttackSpec(
            name="hopskipjump-reject",
            summary="walks along the border from an accepted image of another class",
            source="Chen et al. (2020), through Foolbox",
            knowledge="adaptive",
            parameters=BoundaryParameters,
            run=_hop_skip_jump,
            effort="thorough",
            cost=5000.0,
        ),
    ]
