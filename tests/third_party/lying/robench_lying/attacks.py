"""Attacks that break one rule each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from robench.api import AttackContext, AttackSpec, NoParameters, SweepContext, hookimpl
from robench_lying.parameters import Strength, WrongDefault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

PARAMETERS: dict[str, Any] = {"takes-its-defaults": WrongDefault, "constructs-its-presets": Strength}

LIES = (
    "takes-its-defaults",
    "constructs-its-presets",
    "stays-in-the-ball",
    "stays-in-the-ball-2",
    "leaves-its-inputs-alone",
    "leaves-the-model-alone",
    "leaves-global-state-alone",
    "prints-nothing",
    "repeats-itself",
    "attacks-a-single-image",
    "attacks-alike-in-any-batch",
    "bears-rejection",
    "bears-randomness",
    "bears-selection",
    "bears-a-constant-model",
    "bears-a-constant-model-2",
    "reaches-its-goal",
    "reaches-its-goal-2",
)


def attack(context: AttackContext[Any], *, lie: str) -> Tensor:
    from robench_lying._attacks_torch import lying_step

    return lying_step(context, lie)


def find_nothing(context: AttackContext[NoParameters]) -> Tensor:
    return context.images


def overshoot(context: SweepContext[NoParameters]) -> Tensor:
    from robench_lying._attacks_torch import margin

    return context.ascend(margin, steps=20, relative_step=0.1, keep="last")


@hookimpl
def robench_attacks() -> Iterable[AttackSpec[Any]]:
    make = partial(AttackSpec, summary="lies", source="made up", knowledge="adaptive")
    plain = [
        make(
            name=lie,
            parameters=PARAMETERS.get(lie, NoParameters),
            run=partial(attack, lie=lie),
            norms=("linf", "l2") if lie == "stays-in-the-ball-2" else ("linf",),
            presets={"standard": {"strength": "much"}} if lie == "constructs-its-presets" else {},
        )
        for lie in LIES
    ]
    return [
        *plain,
        make(name="reaches-its-goal-3", parameters=NoParameters, minimal=find_nothing),
        make(name="keeps-its-first-win", parameters=NoParameters, sweep=overshoot, effort="quick"),
    ]
