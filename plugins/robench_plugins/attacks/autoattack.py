"""AutoAttack and its four parts through torchattacks, an extra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robench.api import AttackContext, AttackSpec, NoParameters, hookimpl
from robench_plugins.attacks._checks import at_least_one

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from robench.api import Norm

_REQUIRES = {"torchattacks": "robench[torchattacks]"}
_NORMS: tuple[Norm, ...] = ("linf", "l2")


@dataclass(frozen=True, kw_only=True)
class ApgdParameters:
    """What can be set of APGD; as it is, that of AutoAttack's standard version.

    Attributes:
        steps: Number of gradient steps, at least 1.
        restarts: Number of random starts, at least 1, each for the images that still stand.
    """

    steps: int = 100
    restarts: int = 1

    def __post_init__(self) -> None:
        at_least_one(self, "apgd", "steps", "restarts")


@dataclass(frozen=True, kw_only=True)
class TargetedParameters:
    """What can be set of APGD-T and FAB-T; as it is, that of AutoAttack's standard version.

    Attributes:
        steps: Number of gradient steps for each class, at least 1.
        target_classes: How many of the likeliest wrong classes to aim at, at least 1; all if there are fewer.
    """

    steps: int = 100
    target_classes: int = 9

    def __post_init__(self) -> None:
        at_least_one(self, "targeted attack", "steps", "target_classes")


@dataclass(frozen=True, kw_only=True)
class SquareParameters:
    """What can be set of Square; as it is, that of AutoAttack's standard version.

    Attributes:
        queries: Most windows to try, at least 1.
    """

    queries: int = 5000

    def __post_init__(self) -> None:
        at_least_one(self, "square", "queries")


def _apgd(context: AttackContext[ApgdParameters]) -> Tensor:
    from robench_plugins.attacks._autoattack_torch import apgd

    return apgd(context)


def _apgd_targeted(context: AttackContext[TargetedParameters]) -> Tensor:
    from robench_plugins.attacks._autoattack_torch import apgd_targeted

    return apgd_targeted(context)


def _fab_targeted(context: AttackContext[TargetedParameters]) -> Tensor:
    from robench_plugins.attacks._autoattack_torch import fab_targeted

    return fab_targeted(context)


def _square(context: AttackContext[SquareParameters]) -> Tensor:
    from robench_plugins.attacks._autoattack_torch import square

    return square(context)


def _standard(context: AttackContext[NoParameters]) -> Tensor:
    from robench_plugins.attacks._autoattack_torch import standard

    return standard(context)


@hookimpl
def robench_attacks() -> Iterable[AttackSpec[Any]]:
    """Offer ``apgd``, ``apgd-t``, ``fab``, ``square`` and ``autoattack``."""
    return [
        AttackSpec(
            name="apgd",
            summary="gradient ascent whose steps halve themselves, on the cross-entropy, 100 steps",
            source="Croce & Hein (2020), Reliable evaluation, section 3, through torchattacks",
            knowledge="naive",
            parameters=ApgdParameters,
            run=_apgd,
            norms=_NORMS,
            requires=_REQUIRES,
            cost=200.0,
        ),
        AttackSpec(
            name="apgd-t",
            summary="gradient ascent as apgd towards 9 wrong classes, on a ratio of logit differences, 100 steps each",
            source="Croce & Hein (2020), Reliable evaluation, section 4.1, through torchattacks",
            knowledge="naive",
            parameters=TargetedParameters,
            run=_apgd_targeted,
            norms=_NORMS,
            requires=_REQUIRES,
            cost=1800.0,
        ),
        AttackSpec(
            name="fab",
            summary="closest adversarial image, by projections onto the borders of 9 wrong classes, 100 steps each",
            source="Croce & Hein (2020), Minimally distorted, section 3, targeted, through torchattacks",
            knowledge="naive",
            parameters=TargetedParameters,
            minimal=_fab_targeted,
            norms=_NORMS,
            requires=_REQUIRES,
            cost=2700.0,
        ),
        AttackSpec(
            name="square",
            summary="random search with square windows, by logits only, 5,000 queries",
            source="Andriushchenko et al. (2020), section 3, through torchattacks",
            knowledge="naive",
            parameters=SquareParameters,
            run=_square,
            norms=_NORMS,
            requires=_REQUIRES,
            cost=5000.0,
        ),
        AttackSpec(
            name="autoattack",
            summary="the standard version: apgd, apgd-t, fab and square, each on what still stands",
            source="Croce & Hein (2020), Reliable evaluation, section 5, through torchattacks",
            knowledge="naive",
            parameters=NoParameters,
            run=_standard,
            norms=_NORMS,
            requires=_REQUIRES,
            cost=9700.0,
        ),
    ]
