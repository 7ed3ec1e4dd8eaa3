"""The bridge to Foolbox: bounds, criterion, and random starts that do not touch the global generator."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, TypeVar

# Foolbox imports GitPython, which fails at import on a machine without a git binary unless told to be quiet.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import eagerpy
import foolbox
from torch import nn

from robench.api import PluginError

if TYPE_CHECKING:
    from torch import Tensor

    from robench.api import AttackContext, ImageRandom, Target

P = TypeVar("P")


class SeededLinfDescent(foolbox.attacks.LinfProjectedGradientDescentAttack):  # type: ignore[misc]
    """Foolbox's Linf gradient descent with its random start drawn from the stream of each image."""

    def __init__(self, random: ImageRandom, *, steps: int, relative_step: float) -> None:
        super().__init__(steps=steps, rel_stepsize=relative_step, random_start=True)
        self._random = random

    def get_random_start(self, x0: eagerpy.Tensor, epsilon: float) -> eagerpy.Tensor:
        """Return a uniform draw from the ball around ``x0``, shape (N, C, H, W)."""
        start = self._random.uniform(*x0.shape[1:])
        return x0 + eagerpy.astensor((2 * start - 1) * epsilon)


class SeededL2Descent(foolbox.attacks.L2ProjectedGradientDescentAttack):  # type: ignore[misc]
    """Foolbox's L2 gradient descent with its random start drawn from the stream of each image."""

    def __init__(self, random: ImageRandom, *, steps: int, relative_step: float) -> None:
        super().__init__(steps=steps, rel_stepsize=relative_step, random_start=True)
        self._random = random

    def get_random_start(self, x0: eagerpy.Tensor, epsilon: float) -> eagerpy.Tensor:
        """Return a uniform draw from the ball around ``x0``, shape (N, C, H, W), drawn as Foolbox draws it.

        Source: Voelker et al. (2017), Efficiently sampling vectors and coordinates from the n-sphere and n-ball.
        """
        pixels = math.prod(x0.shape[1:])
        draws = self._random.normal(pixels + 2)
        start = (draws / draws.norm(dim=1, keepdim=True))[:, :pixels]
        return x0 + eagerpy.astensor(start.view(x0.shape) * epsilon)


_FAST = {"linf": foolbox.attacks.LinfFastGradientAttack, "l2": foolbox.attacks.L2FastGradientAttack}
_FROM_IMAGE = {"linf": foolbox.attacks.LinfBasicIterativeAttack, "l2": foolbox.attacks.L2BasicIterativeAttack}
_FROM_DRAW = {"linf": SeededLinfDescent, "l2": SeededL2Descent}


def fast_gradient(context: AttackContext[P], *, head: str) -> Tensor:
    """Run FGSM, or FGM in L2, and return the attacked images, shape (N, C, H, W).

    Args:
        context: The batch.
        head: ``masked`` to attack the deployed composite, ``unmasked`` for its class logits.
    """
    return _run(_FAST[context.budget.norm](random_start=False), context, head)


def projected_gradient_descent(
    context: AttackContext[P], *, steps: int, relative_step: float, random_start: bool, head: str
) -> Tensor:
    """Run PGD, or BIM if without a random start, and return the last iterate, shape (N, C, H, W).

    Args:
        context: The batch.
        steps: Number of gradient steps.
        relative_step: Size of a step in units of epsilon.
        random_start: Start from a uniform draw from the ball rather than from the image.
        head: ``masked`` to attack the deployed composite, ``unmasked`` for its class logits.
    """
    norm = context.budget.norm
    if random_start:
        return _run(_FROM_DRAW[norm](context.random, steps=steps, relative_step=relative_step), context, head)
    return _run(_FROM_IMAGE[norm](steps=steps, rel_stepsize=relative_step, random_start=False), context, head)


class _Logits(nn.Module):
    """Images to class logits, shape (N, K), whatever the defense rejects."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._target = target

    def forward(self, images: Tensor) -> Tensor:
        """Answer images, shape (N, C, H, W), float32, in [0, 1]."""
        return self._target.verdict(images).logits


def _run(attack: foolbox.attacks.base.FixedEpsilonAttack, context: AttackContext[P], head: str) -> Tensor:
    """Attack without Foolbox's own success check: the engine judges, and the check would cost a forward pass."""
    attacked_head = context.target.head if head == "masked" else _Logits(context.target)
    model = foolbox.PyTorchModel(attacked_head.eval(), bounds=(0, 1), device=context.images.device)
    criterion = foolbox.criteria.Misclassification(context.labels)
    try:
        attacked: Tensor = attack.run(model, context.images, criterion, epsilon=context.budget.epsilon)
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        message = "the defense lets no gradient pass"
        raise PluginError(message, "use an attack that needs none, such as square-reject") from error
    return attacked
