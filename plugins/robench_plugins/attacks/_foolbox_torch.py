"""The bridge to Foolbox: bounds, criterion, and random starts that do not touch the global generator."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

# Foolbox imports GitPython, which fails at import on a machine without a git binary unless told to be quiet.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import eagerpy
import foolbox

from robench.api import PluginError

if TYPE_CHECKING:
    from torch import Tensor

    from robench.api import AttackContext, ImageRandom

P = TypeVar("P")


class SeededDescent(foolbox.attacks.LinfProjectedGradientDescentAttack):  # type: ignore[misc]
    """Foolbox's Linf gradient descent with its random start drawn from the stream of each image."""

    def __init__(self, random: ImageRandom, *, steps: int, relative_step: float, random_start: bool) -> None:
        super().__init__(steps=steps, rel_stepsize=relative_step, random_start=random_start)
        self._random = random

    def get_random_start(self, x0: eagerpy.Tensor, epsilon: float) -> eagerpy.Tensor:
        """Return a uniform draw from the ball around ``x0``, shape (N, C, H, W)."""
        start = self._random.uniform(*x0.shape[1:])
        return x0 + eagerpy.astensor((2 * start - 1) * epsilon)


def fast_gradient_sign(context: AttackContext[P]) -> Tensor:
    """Run FGSM on the deployed composite and return the attacked images, shape (N, C, H, W)."""
    return _run(foolbox.attacks.FGSM(random_start=False), context)


def projected_gradient_descent(
    context: AttackContext[P], *, steps: int, relative_step: float, random_start: bool
) -> Tensor:
    """Run PGD, or BIM if without a random start, and return the last iterate, shape (N, C, H, W).

    Args:
        context: The batch.
        steps: Number of gradient steps.
        relative_step: Size of a step in units of epsilon.
        random_start: Start from a uniform draw from the ball rather than from the image.
    """
    attack = SeededDescent(context.random, steps=steps, relative_step=relative_step, random_start=random_start)
    return _run(attack, context)


def _run(attack: foolbox.attacks.base.FixedEpsilonAttack, context: AttackContext[P]) -> Tensor:
    """Attack without Foolbox's own success check: the engine judges, and the check would cost a forward pass."""
    model = foolbox.PyTorchModel(context.target.head.eval(), bounds=(0, 1), device=context.images.device)
    criterion = foolbox.criteria.Misclassification(context.labels)
    try:
        attacked: Tensor = attack.run(model, context.images, criterion, epsilon=context.budget.epsilon)
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        message = "the defense lets no gradient pass"
        raise PluginError(message, "use an attack that needs none, such as square-reject") from error
    return attacked
