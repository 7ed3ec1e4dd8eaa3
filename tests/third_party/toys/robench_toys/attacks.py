"""An attack that draws a corner of the ball, blind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api import AttackContext, AttackSpec, NoParameters, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


def corner(context: AttackContext[NoParameters]) -> Tensor:
    signs = (context.random.uniform(*context.images.shape[1:]) - 0.5).sign()
    return (context.images + context.budget.epsilon * signs).clamp(0, 1)


@hookimpl
def robench_attacks() -> Iterable[AttackSpec[NoParameters]]:
    return [
        AttackSpec(
            name="toy-corner",
            summary="a random corner of the ball",
            source="made up",
            knowledge="oblivious",
            parameters=NoParameters,
            run=corner,
        )
    ]
