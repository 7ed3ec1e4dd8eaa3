"""HopSkipJump through Foolbox, for which a rejection is no success."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # as in _foolbox_torch

import eagerpy
import foolbox
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from robench.api import AttackContext, Target
    from robench_plugins.attacks.blind import BoundaryParameters


class Answer(nn.Module):
    """The defense with one more logit, the largest of its row where it rejects."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._target = target

    def forward(self, images: Tensor) -> Tensor:
        """Answer images, shape (N, C, H, W), with logits of shape (N, K + 1)."""
        verdict = self._target.verdict(images)
        rejected = torch.zeros(len(images), dtype=torch.bool, device=images.device)
        if verdict.score is not None and self._target.threshold is not None:
            rejected = verdict.score > self._target.threshold
        extra = torch.where(rejected, verdict.logits.amax(1) + 1, verdict.logits.amin(1) - 1)
        return torch.cat([verdict.logits, extra[:, None]], dim=1)


class AcceptedMisclassification(foolbox.criteria.Misclassification):  # type: ignore[misc]
    """A wrong class that is not the rejection."""

    def __call__(self, perturbed: eagerpy.Tensor, outputs: eagerpy.Tensor) -> eagerpy.Tensor:
        """Say which outputs, shape (N, K + 1), are a success, shape (N,)."""
        wrong = super().__call__(perturbed, outputs)
        return eagerpy.logical_and(wrong, outputs.argmax(axis=-1) != outputs.shape[-1] - 1)


def hop_skip_jump(context: AttackContext[BoundaryParameters]) -> Tensor:
    """Walk along the border from an accepted image of another class; return what lies in the ball, else its edge.

    One image at a time: the library draws from the global generator, which is set for each image and put back after.
    A random defense is walked along without its randomness: a border that moves is lost at the first step.
    """
    parameters, calm = context.parameters, context.target.calm()
    found = context.images.clone()
    seeds = (context.random.uniform() * 2**31).long().tolist()
    for row, seed in enumerate(seeds):
        each = torch.tensor([row], device=context.images.device)
        image, label = context.images[each], context.labels[each]
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            target = calm.select(each)
            start = _start(context, target, image, int(label))
            if start is None:
                continue
            attack = foolbox.attacks.HopSkipJumpAttack(
                steps=parameters.steps,
                max_gradient_eval_steps=parameters.evaluations,
                initial_gradient_eval_steps=min(100, parameters.evaluations),
                constraint="linf",
            )
            model = foolbox.PyTorchModel(Answer(target).eval(), bounds=(0, 1), device=image.device)
            walked = attack.run(model, image, AcceptedMisclassification(label), starting_points=start)
        epsilon = context.budget.epsilon
        found[row] = (image + (walked - image).clamp(-epsilon, epsilon)).clamp(0, 1)[0]
    return found


def _start(context: AttackContext[BoundaryParameters], target: Target, image: Tensor, label: int) -> Tensor | None:
    """Return the closest reference image of another class that the defense accepts as another class, or None."""
    candidates = context.references.images[context.references.labels != label]
    order = (candidates - image).abs().flatten(1).amax(1).argsort()
    for number in order.tolist():
        start = candidates[number : number + 1]
        verdict = target.verdict(start)
        accepted = verdict.score is None or target.threshold is None or bool(verdict.score <= target.threshold)
        if accepted and int(verdict.logits.argmax(1)) != label:
            return start
    return None
