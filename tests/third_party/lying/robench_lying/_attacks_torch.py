from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from robench.api import PluginError

if TYPE_CHECKING:
    from robench.api import AttackContext, Target


def margin(target: Target, images: Tensor, labels: Tensor) -> Tensor:
    logits = target.verdict(images).logits
    own = logits.gather(1, labels[:, None])[:, 0]
    return logits.scatter(1, labels[:, None], -torch.inf).amax(1) - own


def lying_step(context: AttackContext[Any], lie: str) -> Tensor:  # noqa: C901 (one branch a lie)
    """One step of the gradient's sign, but for the lie."""
    epsilon, target = context.budget.epsilon, context.target
    _refuse(target, lie)
    if lie == "leaves-the-model-alone":
        target._deployed.module.train()  # type: ignore[attr-defined]
    if lie == "leaves-global-state-alone":
        random.random()
    if lie == "prints-nothing":
        print("attacking")  # noqa: T201
    if lie == "reaches-its-goal":
        return context.images
    images = context.images.clone().requires_grad_(True)
    value = margin(target, images, context.labels)
    if not value.requires_grad:
        message = "there is no gradient"
        raise PluginError(message)
    (gradient,) = torch.autograd.grad(value.sum(), images)
    while lie == "bears-a-constant-model-2" and not gradient.any():
        target.verdict(images)
    direction = gradient.sign()
    if lie == "reaches-its-goal-2":
        direction = -direction
    if lie == "bears-a-constant-model":
        direction = gradient / gradient.flatten(1).abs().amax(1)[:, None, None, None]
    if lie == "repeats-itself":
        direction = (torch.rand_like(images) - 0.5).sign()
    if lie == "attacks-a-single-image":
        direction = direction.squeeze()[:, None]
    if lie == "attacks-alike-in-any-batch":
        direction = direction.sum(0, keepdim=True).sign()
    if lie == "leaves-its-inputs-alone":
        context.images.add_(epsilon * direction).clamp_(0, 1)
        return context.images.clone()
    return (context.images + (2 if lie == "stays-in-the-ball" else 1) * epsilon * direction).clamp(0, 1)


def _refuse(target: Target, lie: str) -> None:
    refused = {
        "bears-rejection": target.threshold is not None,
        "bears-randomness": target.stochastic,
        "bears-selection": target.selecting,
    }
    if refused.get(lie, False):
        message = "this was not thought of"
        raise ValueError(message)
