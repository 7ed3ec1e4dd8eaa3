"""HopSkipJump inside one ball."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench_plugins.attacks._foolbox_attacks_torch import walk_by_answers

if TYPE_CHECKING:
    from torch import Tensor

    from robench.api import AttackContext
    from robench_plugins.attacks.blind import BoundaryParameters


def hop_skip_jump(context: AttackContext[BoundaryParameters]) -> Tensor:
    """Walk along the border from an accepted image of another class; return what lies in the ball, else its edge."""
    parameters, epsilon = context.parameters, context.budget.epsilon
    walked = walk_by_answers(context, steps=parameters.steps, first_evaluations=100, evaluations=parameters.evaluations)
    return (context.images + (walked - context.images).clamp(-epsilon, epsilon)).clamp(0, 1)
