"""Attacks on defenses that choose among candidates; on others they aim at one class after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from robench_plugins.attacks._losses_torch import excess, margin, shortfall

if TYPE_CHECKING:
    from torch import Tensor

    from robench.api import SweepContext, Target
    from robench_plugins.attacks.selection import ForcedClassParameters, LatentLineParameters, SoftSelectionParameters

_ERROR_WEIGHT = 10.0
_ERROR_ROOM = 0.03
_LOGIT_WEIGHT = 0.5
_LOGIT_ROOM = 0.5
"""The weights and margins of the forced class; errors are in units of the threshold."""


def forced_class(context: SweepContext[ForcedClassParameters]) -> Tensor:
    """Make the defense choose the candidate of a wrong class, one class after the other, the closest first."""
    parameters = context.parameters
    order = _closest_classes(context)
    for rank in range(min(parameters.classes, order.shape[1])):
        context.ascend(
            _be_chosen,
            steps=parameters.steps,
            relative_step=(0.25, 1 / 30),
            given=(_per_slot(context, order[:, rank]),),
            keep="first-win",
        )
        if not bool(context.trial.standing.any()):
            break
    return context.trial.best


def latent_line(context: SweepContext[LatentLineParameters]) -> Tensor:
    """Walk towards what the defense makes of the image as another class, then force that class from there."""
    parameters = context.parameters
    order = _closest_classes(context)
    for rank in range(min(parameters.classes, order.shape[1])):
        goal = _goal(context, order[:, rank])[:, None]
        images = context.images[:, None]
        line = _shortened(context, goal - images)
        for place in range(1, parameters.points + 1):
            context.trial.propose(images + line * place / parameters.points)
        context.ascend(
            _be_chosen,
            steps=parameters.steps,
            relative_step=(0.25, 1 / 30),
            start=images + line,
            given=(_per_slot(context, order[:, rank]),),
            keep="first-win",
        )
        if not bool(context.trial.standing.any()):
            break
    return context.trial.best


def soft_selection(context: SweepContext[SoftSelectionParameters]) -> Tensor:
    """Replace the choice by weights that favour small errors, ever more sharply, so that losers get gradients too."""
    parameters = context.parameters
    images: Tensor | None = None
    for temperature in (1.0, 0.3, 0.1):
        images = context.ascend(
            _soft_answer,
            steps=parameters.steps,
            relative_step=(0.25, 1 / 30),
            start=images,
            random_start=images is None,
            given=(torch.full(context.epsilons.shape, temperature, device=context.images.device),),
            keep="first-win",
        )
    return context.trial.best


def _be_chosen(target: Target, images: Tensor, labels: Tensor, choice: Tensor) -> Tensor:  # noqa: ARG001
    """Raise the candidate of a class above its rivals, below the threshold, and to its own class, shape (M,)."""
    calm = target.calm()
    if not target.selecting:
        verdict = calm.verdict(images)
        too_far = shortfall(excess(target, verdict.score, images, _ERROR_ROOM))
        return -_LOGIT_WEIGHT * shortfall(margin(verdict.logits, choice) + _LOGIT_ROOM) - _ERROR_WEIGHT * too_far
    found = calm.candidates(images)
    rival = found.errors.scatter(1, choice[:, None], torch.inf).argmin(1)
    chosen, other = found.take(choice), found.take(rival)
    unit = abs(target.threshold) if target.threshold else found.errors.amin(1).clamp_min(1e-6)
    ahead = shortfall((chosen.error - other.error) / unit + _ERROR_ROOM)
    accepted = shortfall(excess(target, chosen.error, images, _ERROR_ROOM)) if target.threshold is not None else 0.0
    answered = shortfall(margin(chosen.logits, choice) + _LOGIT_ROOM)
    return -(_ERROR_WEIGHT * (ahead + accepted) + _LOGIT_WEIGHT * answered)


def _soft_answer(target: Target, images: Tensor, labels: Tensor, temperature: Tensor) -> Tensor:
    """Raise the margin of candidates weighed by their errors, less what they exceed the threshold by, shape (M,)."""
    found = target.calm().candidates(images)
    closest = found.errors.topk(min(3, target.classes), dim=1, largest=False).indices
    taken = [found.take(closest[:, place]) for place in range(closest.shape[1])]
    errors = torch.stack([candidate.error for candidate in taken], dim=1)
    unit = found.errors.amin(1, keepdim=True).clamp_min(1e-6)
    weights = (-((errors / unit) ** 2) / temperature[:, None]).softmax(1)
    margins = torch.stack([margin(candidate.logits, labels).clamp_max(2.0) for candidate in taken], dim=1)
    over = shortfall(excess(target, (weights * errors).sum(1), images, _ERROR_ROOM)) if target.threshold else 0.0
    return (weights * margins).sum(1) - _ERROR_WEIGHT * over


@torch.no_grad()
def _closest_classes(context: SweepContext[ForcedClassParameters] | SweepContext[LatentLineParameters]) -> Tensor:
    """Return the wrong classes of each image, shape (N, K - 1), those first that cost the attack least."""
    target = context.target.calm()
    images = context.images
    cost = target.candidates(images).errors if target.selecting else -target.verdict(images).logits
    return cost.scatter(1, context.labels[:, None], torch.inf).argsort(1)[:, :-1]


@torch.no_grad()
def _goal(context: SweepContext[LatentLineParameters], choice: Tensor) -> Tensor:
    """Return what to walk towards, shape (N, C, H, W): a candidate, or the closest reference image of a class."""
    if context.target.selecting:
        return context.target.calm().candidates(context.images).take(choice).images
    references = context.references
    distance = torch.cdist(context.images.flatten(1), references.images.flatten(1))
    distance[references.labels[None] != choice[:, None]] = torch.inf
    return references.images[distance.argmin(1)]


def _shortened(context: SweepContext[LatentLineParameters], way: Tensor) -> Tensor:
    """Return what of the ways to somewhere, shape (N, 1, C, H, W), is inside each ball, shape (N, E, C, H, W)."""
    radius = context.epsilons.to(way.dtype)[:, :, None, None, None]
    if context.norm == "linf":
        return way.clamp(-radius, radius)
    length: Tensor = torch.linalg.vector_norm(way, dim=(-3, -2, -1), keepdim=True)
    return way * (radius / length.clamp_min(1e-12)).clamp_max(1)


def _per_slot(
    context: SweepContext[ForcedClassParameters] | SweepContext[LatentLineParameters], values: Tensor
) -> Tensor:
    """Repeat values of images, shape (N,), for each of their epsilons, shape (N, E)."""
    return values[:, None].expand(-1, context.epsilons.shape[1])
