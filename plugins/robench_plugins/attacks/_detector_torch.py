"""Attacks on the classifier and the detector of a defense at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from robench.api import PluginError
from robench_plugins.attacks._losses_torch import excess, margin, shortfall

if TYPE_CHECKING:
    from torch import Tensor

    from robench.api import SweepContext, Target
    from robench_plugins.attacks.detector import (
        AveragedParameters,
        JointParameters,
        MaxScoreParameters,
        SteppedParameters,
        TransferParameters,
    )

_ROOM = 0.03
"""How far below the threshold to aim, in units of the threshold: an attack at its border would be rejected by luck."""
_WEIGHT = 10.0
"""Of the score against the margin, to begin with: the former counts in thresholds, the latter in logits."""
_ENOUGH = 2.0
"""A margin beyond which more of it is not worth a higher score."""
_STEPS = (0.25, 1 / 30)
"""First and last step in units of epsilon."""


def joint(context: SweepContext[JointParameters]) -> Tensor:
    """Raise the margin less lambda times the score's excess; search lambda for each slot between the two failures."""
    parameters = context.parameters
    shape, device = context.epsilons.shape, context.images.device
    weight = torch.full(shape, _WEIGHT, device=device)
    low, high = torch.zeros(shape, device=device), torch.full(shape, torch.inf, device=device)
    for turn in range(parameters.rounds):
        images = context.ascend(
            _margin_and_score,
            steps=parameters.steps,
            relative_step=_STEPS,
            random_start=turn > 0,
            given=(weight,),
            keep="first-win",
        )
        if context.target.threshold is None or not bool(context.trial.standing.any()):
            continue
        rejected, fooled = _failures(context, images)
        # Rejected: the score needs more weight; answered rightly: less. Between the two, the geometric mean.
        low, high = torch.where(rejected, weight, low), torch.where(~rejected & ~fooled, weight, high)
        weight = torch.where(low == 0, high / 10, torch.where(high.isinf(), low * 10, (low * high).sqrt()))
        weight = weight.nan_to_num(nan=1.0, posinf=1.0).clamp(1e-4, 1e4)
    return context.trial.best


def selective(context: SweepContext[SteppedParameters]) -> Tensor:
    """Step on the classifier's loss while it answers rightly, else on the score."""
    return _stepped(context, _selective_direction)


def orthogonal(context: SweepContext[SteppedParameters]) -> Tensor:
    """The same, each step without its part along the gradient of the other."""
    return _stepped(context, _orthogonal_direction)


def maximise_score(context: SweepContext[MaxScoreParameters]) -> Tensor:
    """Raise the rejection score."""
    return context.ascend(_score, steps=context.parameters.steps, relative_step=_STEPS, keep="first-win")


def averaged(context: SweepContext[AveragedParameters]) -> Tensor:
    """Win without randomness first, then against the average over draws."""
    parameters = context.parameters
    weight = (torch.full(context.epsilons.shape, _WEIGHT, device=context.images.device),)
    start = context.ascend(
        _calm_margin_and_score, steps=parameters.steps, relative_step=_STEPS, given=weight, keep="first-win"
    )
    return context.ascend(
        _margin_and_score,
        steps=parameters.steps,
        relative_step=(0.1, 1 / 30),
        start=start,
        samples=parameters.samples,
        given=weight,
        keep="first-win",
    )


def transfer(context: SweepContext[TransferParameters]) -> Tensor:
    """Fool the classifier alone; every iterate is put to the defense."""
    parameters = context.parameters
    for turn in range(parameters.restarts):
        context.ascend(
            _bare_margin, steps=parameters.steps, relative_step=_STEPS, random_start=turn > 0, keep="first-win"
        )
    return context.trial.best


def _margin_and_score(target: Target, images: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    verdict = target.verdict(images)
    over = shortfall(excess(target, verdict.score, images, _ROOM))
    return margin(verdict.logits, labels).clamp_max(_ENOUGH) - weight * over


def _calm_margin_and_score(target: Target, images: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    return _margin_and_score(target.calm(), images, labels, weight)


def _bare_margin(target: Target, images: Tensor, labels: Tensor) -> Tensor:
    return margin(target.classifier(images), labels)


def _score(target: Target, images: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG001
    score = target.verdict(images).score
    return images.flatten(1).sum(1) * 0 if score is None else score


def _stepped(context: SweepContext[SteppedParameters], direction: object) -> Tensor:
    parameters = context.parameters
    for turn in range(parameters.restarts):
        context.ascend(
            direction,  # type: ignore[arg-type]
            steps=parameters.steps,
            relative_step=_STEPS,
            random_start=turn > 0,
            keep="first-win",
        )
    return context.trial.best


def _selective_direction(target: Target, images: Tensor, labels: Tensor) -> Tensor:
    up, down, fooled = _both_gradients(target, images, labels)
    return torch.where(fooled, -down, up)


def _orthogonal_direction(target: Target, images: Tensor, labels: Tensor) -> Tensor:
    up, down, fooled = _both_gradients(target, images, labels)
    return torch.where(fooled, -_without(down, up), _without(up, down))


def _both_gradients(target: Target, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of the margin and of the score, (M, C, H, W), and who is fooled, (M, 1, 1, 1)."""
    verdict = target.verdict(images)
    gap = margin(verdict.logits, labels)
    up = _gradient("margin", gap, images, again=verdict.score is not None)
    down = torch.zeros_like(up) if verdict.score is None else _gradient("score", verdict.score, images)
    return up, down, (gap > 0).view(-1, 1, 1, 1)


def _gradient(what: str, values: Tensor, images: Tensor, *, again: bool = False) -> Tensor:
    """Return the gradient of one number for each row, shape (M,), keeping the graph if it is needed again.

    Raises:
        PluginError: If the defense lets no gradient pass.
    """
    if not values.requires_grad:
        message = f"the {what} of the defense has no gradient"
        raise PluginError(message, "use an attack that needs none, such as square-reject")
    (gradient,) = torch.autograd.grad(values.sum(), images, retain_graph=again)
    return gradient


def _without(vector: Tensor, other: Tensor) -> Tensor:
    """Return a vector of each row less its part along another one."""
    along = (vector * other).flatten(1).sum(1) / other.square().flatten(1).sum(1).clamp_min(1e-30)
    return vector - along.view(-1, 1, 1, 1) * other


@torch.no_grad()
def _failures(context: SweepContext[JointParameters], images: Tensor) -> tuple[Tensor, Tensor]:
    """Say which slots end rejected and which are answered wrongly, each of shape (N, E), bool."""
    shape = context.epsilons.shape
    # All epsilons at once: asked one by one they would take draws from each other.
    owners, slots = torch.arange(shape[0], device=images.device).repeat_interleave(shape[1]), images.flatten(0, 1)
    verdict = context.target.select(owners).calm().verdict(slots)
    rejected = excess(context.target, verdict.score, slots) > 0
    fooled = verdict.logits.argmax(1) != context.labels[owners]
    return rejected.view(shape), fooled.view(shape)
