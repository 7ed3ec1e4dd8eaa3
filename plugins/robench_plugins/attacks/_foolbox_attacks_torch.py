"""Attacks of Foolbox that look for the closest adversarial image, and its noise; a rejection is no success."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # as in _foolbox_torch

import foolbox
import torch
from foolbox.devutils import atleast_kd, flatten

from robench_plugins.attacks._accepted_torch import AcceptedAnswer
from robench_plugins.attacks._draws_torch import image_draws, image_generators

if TYPE_CHECKING:
    import eagerpy
    from torch import Tensor

    from robench.api import AttackContext, Norm
    from robench_plugins.attacks.foolbox_attacks import (
        BoundaryParameters,
        CarliniWagnerParameters,
        DeepFoolParameters,
        HopSkipJumpParameters,
        RepeatedNoiseParameters,
    )


class UniformNoise(foolbox.attacks.LinfRepeatedAdditiveUniformNoiseAttack):  # type: ignore[misc]
    """Foolbox's uniform noise, scaled by its largest absolute value.

    Foolbox scales by the largest value, and so leaves the ball where a negative one is larger.
    """

    def get_epsilons(self, x: eagerpy.Tensor, p: eagerpy.Tensor, epsilon: float, **_bounds: float) -> eagerpy.Tensor:
        """Return the factors that bring noise ``p``, shape (N, C, H, W), onto the ball, shape (N, 1, 1, 1)."""
        return epsilon / atleast_kd(flatten(p).abs().max(axis=-1), x.ndim)


def carlini_wagner(context: AttackContext[CarliniWagnerParameters]) -> Tensor:
    """Minimise the distance and the classifier's margin together, for a weight found by bisection.

    Foolbox's early stop looks at the sum over the batch, hence would make an image's result depend on the others: it is
    off. An image that it cannot move becomes black there; here it stays as it was.
    """
    parameters = context.parameters
    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=parameters.searches,
        steps=parameters.steps,
        stepsize=parameters.step_size,
        initial_const=parameters.initial_weight,
        abort_early=False,
    )
    return _closest(context, attack)


def deepfool(context: AttackContext[DeepFoolParameters]) -> Tensor:
    """Step over the border of the nearest class, as if the defense were linear, until the answer is another."""
    attacks = {"l2": foolbox.attacks.L2DeepFoolAttack, "linf": foolbox.attacks.LinfDeepFoolAttack}
    parameters = context.parameters
    attack = attacks[context.budget.norm](
        steps=parameters.steps, candidates=parameters.candidates, overshoot=parameters.overshoot
    )
    return _closest(context, attack)


def hop_skip_jump(context: AttackContext[HopSkipJumpParameters]) -> Tensor:
    """Walk along the border in directions that answers alone tell."""
    parameters = context.parameters
    return walk_by_answers(
        context,
        steps=parameters.steps,
        first_evaluations=parameters.first_evaluations,
        evaluations=parameters.evaluations,
    )


def boundary(context: AttackContext[BoundaryParameters]) -> Tensor:
    """Walk along the border by random steps that stay beyond it and come closer."""
    return _walk(context, foolbox.attacks.BoundaryAttack(steps=context.parameters.steps))


def uniform_noise(context: AttackContext[RepeatedNoiseParameters]) -> Tensor:
    """Add uniform noise of the size of the ball, until a draw wins."""
    attacks = {"l2": foolbox.attacks.L2ClippingAwareRepeatedAdditiveUniformNoiseAttack, "linf": UniformNoise}
    return _noise(context, attacks[context.budget.norm](repeats=context.parameters.draws))


def gaussian_noise(context: AttackContext[RepeatedNoiseParameters]) -> Tensor:
    """Add Gaussian noise of the size of the ball, until a draw wins."""
    attack = foolbox.attacks.L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack(repeats=context.parameters.draws)
    return _noise(context, attack)


def walk_by_answers(context: AttackContext[Any], *, steps: int, first_evaluations: int, evaluations: int) -> Tensor:
    """Run HopSkipJump in the norm of the budget, see ``_walk``; the parameters are those of ``hopskipjump``."""
    attack = foolbox.attacks.HopSkipJumpAttack(
        steps=steps,
        initial_gradient_eval_steps=min(first_evaluations, evaluations),
        max_gradient_eval_steps=evaluations,
        constraint=context.budget.norm,
    )
    return _walk(context, attack)


def _walk(context: AttackContext[Any], attack: foolbox.attacks.base.MinimizationAttack) -> Tensor:
    """Walk from an accepted image of another class towards each image, shape (N, C, H, W).

    One image at a time: the libraries' walks share draws and the number of queries among the images of a batch. A
    random defense is walked along without its randomness: a border that moves is lost at the first step. Images that
    are answered wrongly already, or for which there is nowhere to start, are returned as they are.
    """
    calm, found = context.target.calm(), context.images.clone()
    for row, generator in enumerate(image_generators(context.random)):
        each = torch.tensor([row], device=found.device)
        image, label = found[each].clamp(0, 1), context.labels[each]
        answer = AcceptedAnswer(calm.select(each), label).eval()
        with torch.no_grad(), image_draws([generator], found.device):
            start = None if bool(answer.fooled(image)) else _start(context, answer, image, int(label))
            if start is not None:
                criterion = foolbox.criteria.Misclassification(label)
                found[each] = attack.run(_model(answer, image), image, criterion, starting_points=start)
    return found


def _start(context: AttackContext[Any], answer: AcceptedAnswer, image: Tensor, label: int) -> Tensor | None:
    """Return the closest reference image of another class that the defense accepts as another class, or None."""
    candidates = context.references.images[context.references.labels != label]
    for number in _distance(candidates, image, context.budget.norm).argsort().tolist():
        start = candidates[number : number + 1]
        if bool(answer.fooled(start)):
            return start
    return None


def _closest(context: AttackContext[Any], attack: foolbox.attacks.base.MinimizationAttack) -> Tensor:
    """Return what the attack finds, shape (N, C, H, W), and the original where it finds nothing or nothing is needed.

    Foolbox refuses values outside [0, 1] with a bare assertion, so rounding in the images is cut off.
    """
    images, labels = context.images.clamp(0, 1), context.labels
    answer = AcceptedAnswer(context.target.calm(), labels).eval()
    needed = ~answer.fooled(images)
    attacked = attack.run(_model(answer, images), images, foolbox.criteria.Misclassification(labels)).detach()
    chosen = needed & answer.fooled(attacked)
    return torch.where(chosen[:, None, None, None], attacked, context.images)


def _noise(context: AttackContext[RepeatedNoiseParameters], attack: foolbox.attacks.base.FixedEpsilonAttack) -> Tensor:
    images, budget = context.images.clamp(0, 1), context.budget
    answer = AcceptedAnswer(context.target.calm(), context.labels).eval()
    criterion = foolbox.criteria.Misclassification(context.labels)
    with torch.no_grad(), image_draws(image_generators(context.random), images.device):
        attacked: Tensor = attack.run(_model(answer, images), images, criterion, epsilon=budget.epsilon)
    return attacked


def _model(answer: AcceptedAnswer, images: Tensor) -> foolbox.PyTorchModel:
    return foolbox.PyTorchModel(answer, bounds=(0, 1), device=images.device)


def _distance(images: Tensor, image: Tensor, norm: Norm) -> Tensor:
    """Return how far images, shape (N, C, H, W), are from one, shape (1, C, H, W); shape (N,)."""
    change = (images - image).flatten(1)
    return change.abs().amax(1) if norm == "linf" else change.square().sum(1).sqrt()
