"""Attacks of the literature through Foolbox: the closest adversarial image, and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robench.api import AttackContext, AttackSpec, UsageError, hookimpl
from robench_plugins.attacks._checks import at_least_one, positive

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class CarliniWagnerParameters:
    """What can be set of the attack by Carlini & Wagner.

    Attributes:
        searches: Steps of the bisection for the weight, at least 1.
        steps: Gradient steps for each weight, at least 1.
        step_size: Of Adam, positive.
        initial_weight: Of the classifier's margin against the distance, positive.
    """

    searches: int = 9
    steps: int = 1000
    step_size: float = 0.01
    initial_weight: float = 0.001

    def __post_init__(self) -> None:
        at_least_one(self, "cw", "searches", "steps")
        positive(self, "cw", "step_size", "initial_weight")


@dataclass(frozen=True, kw_only=True)
class DeepFoolParameters:
    """What can be set of DeepFool.

    Attributes:
        steps: Most steps, at least 1.
        candidates: How many of the likeliest classes to look at, at least 2.
        overshoot: How far beyond the border to step, in units of the distance to it, positive.
    """

    steps: int = 50
    candidates: int = 10
    overshoot: float = 0.02

    def __post_init__(self) -> None:
        at_least_one(self, "deepfool", "steps")
        positive(self, "deepfool", "overshoot")
        if self.candidates < 2:  # noqa: PLR2004
            message = f"deepfool: candidates is {self.candidates}"
            raise UsageError(message, "give at least 2")


@dataclass(frozen=True, kw_only=True)
class HopSkipJumpParameters:
    """What can be set of HopSkipJump.

    Attributes:
        steps: Number of walks along the border, at least 1.
        first_evaluations: Queries for the first estimate of the border's direction, at least 1.
        evaluations: Most queries for one estimate, at least 1.
    """

    steps: int = 64
    first_evaluations: int = 100
    evaluations: int = 10_000

    def __post_init__(self) -> None:
        at_least_one(self, "hopskipjump", "steps", "first_evaluations", "evaluations")


@dataclass(frozen=True, kw_only=True)
class BoundaryParameters:
    """What can be set of the boundary attack.

    Attributes:
        steps: Most steps, at least 1.
    """

    steps: int = 25_000

    def __post_init__(self) -> None:
        at_least_one(self, "boundary", "steps")


@dataclass(frozen=True, kw_only=True)
class RepeatedNoiseParameters:
    """What can be set of noise.

    Attributes:
        draws: Most draws to try, at least 1.
    """

    draws: int = 100

    def __post_init__(self) -> None:
        at_least_one(self, "noise", "draws")


def _carlini_wagner(context: AttackContext[CarliniWagnerParameters]) -> Tensor:
    from robench_plugins.attacks._foolbox_attacks_torch import carlini_wagner

    return carlini_wagner(context)


def _deepfool(context: AttackContext[DeepFoolParameters]) -> Tensor:
    from robench_plugins.attacks._foolbox_attacks_torch import deepfool

    return deepfool(context)


def _hop_skip_jump(context: AttackContext[HopSkipJumpParameters]) -> Tensor:
    from robench_plugins.attacks._foolbox_attacks_torch import hop_skip_jump

    return hop_skip_jump(context)


def _boundary(context: AttackContext[BoundaryParameters]) -> Tensor:
    from robench_plugins.attacks._foolbox_attacks_torch import boundary

    return boundary(context)


def _uniform_noise(context: AttackContext[RepeatedNoiseParameters]) -> Tensor:
    from robench_plugins.attacks._foolbox_attacks_torch import uniform_noise

    return uniform_noise(context)


def _gaussian_noise(context: AttackContext[RepeatedNoiseParameters]) -> Tensor:
    from robench_plugins.attacks._foolbox_attacks_torch import gaussian_noise

    return gaussian_noise(context)


@hookimpl
def robench_attacks() -> Iterable[AttackSpec[Any]]:
    """Offer ``cw``, ``deepfool``, ``hopskipjump``, ``boundary``, ``uniform-noise`` and ``gaussian-noise``."""
    return [
        AttackSpec(
            name="cw",
            summary="closest adversarial image by gradient descent on distance and margin, 9 x 1,000 steps",
            source="Carlini & Wagner (2017), section 5, through Foolbox",
            knowledge="naive",
            parameters=CarliniWagnerParameters,
            minimal=_carlini_wagner,
            norms=("l2",),
            cost=18_000.0,
        ),
        AttackSpec(
            name="deepfool",
            summary="steps over the nearest border as if the defense were linear",
            source="Moosavi-Dezfooli et al. (2016), section 3, through Foolbox",
            knowledge="naive",
            parameters=DeepFoolParameters,
            minimal=_deepfool,
            norms=("linf", "l2"),
            cost=100.0,
        ),
        AttackSpec(
            name="hopskipjump",
            summary="walks along the border, by answers only, 64 walks",
            source="Chen et al. (2020), section 3, through Foolbox",
            knowledge="naive",
            parameters=HopSkipJumpParameters,
            minimal=_hop_skip_jump,
            norms=("linf", "l2"),
            cost=40_000.0,
        ),
        AttackSpec(
            name="boundary",
            summary="random walk along the border, by answers only, 25,000 steps",
            source="Brendel et al. (2018), section 2, through Foolbox",
            knowledge="naive",
            parameters=BoundaryParameters,
            minimal=_boundary,
            norms=("l2",),
            cost=27_500.0,
        ),
        AttackSpec(
            name="uniform-noise",
            summary="uniform noise of the size of the ball, the first of 100 draws that wins",
            source="Rauber et al. (2017), Foolbox: LinfRepeatedAdditiveUniformNoiseAttack and its L2 form",
            knowledge="naive",
            parameters=RepeatedNoiseParameters,
            run=_uniform_noise,
            norms=("linf", "l2"),
            cost=100.0,
        ),
        AttackSpec(
            name="gaussian-noise",
            summary="Gaussian noise of the size of the ball, the first of 100 draws that wins",
            source="Rauber & Bethge (2020), section 3, through Foolbox",
            knowledge="naive",
            parameters=RepeatedNoiseParameters,
            run=_gaussian_noise,
            norms=("l2",),
            cost=100.0,
        ),
    ]
