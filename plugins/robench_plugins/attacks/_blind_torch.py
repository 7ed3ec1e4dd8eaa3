"""Attacks that only ask: random noise, and a random search with square windows that minds the detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from robench_plugins.attacks._losses_torch import excess, margin

if TYPE_CHECKING:
    from torch import Tensor

    from robench.api import SweepContext
    from robench_plugins.attacks.blind import NoiseParameters, SquareParameters

_KAPPA = 1.0
"""What one threshold's worth of score is worth in logits."""


def noise(context: SweepContext[NoiseParameters]) -> Tensor:
    """Try corners of the ball, in L2 points of its border, drawn blindly."""
    images, radius = context.images[:, None], _per_pixel(context.epsilons)
    for _ in range(context.parameters.draws):
        context.trial.propose(images + radius * _furthest(context)[:, None])
        if not bool(context.trial.standing.any()):
            break
    return context.trial.best


def _furthest(context: SweepContext[NoiseParameters]) -> Tensor:
    """Draw for each image what is furthest from the centre of a ball of radius 1, shape (N, C, H, W)."""
    size = context.images.shape[1:]
    if context.norm == "linf":
        return (context.random.uniform(*size) - 0.5).sign()
    draws = context.random.normal(*size)
    length: Tensor = torch.linalg.vector_norm(draws, dim=(-3, -2, -1), keepdim=True)
    return draws / length


@torch.no_grad()
def square(context: SweepContext[SquareParameters]) -> Tensor:
    """Move square windows to a corner of the ball, and keep what lowers the defense's confidence."""
    parameters = context.parameters
    count = len(context.images)
    channels, height, width = context.images.shape[1:]
    originals, radius = context.images[:, None], _per_pixel(context.epsilons)
    stripes = (context.random.uniform(channels, 1, width) - 0.5).sign()
    present = (originals + radius * stripes[:, None]).clamp(0, 1)
    loss = _loss(context, present)
    for step in range(parameters.queries):
        if step % 10 == 0:
            context.trial.propose(present, loss < 0)
            if not bool(context.trial.standing.any()):
                break
        share = _share(step, parameters.queries, parameters.first_share)
        side = min(height, width, max(1, round((share * height * width) ** 0.5)))
        draws = context.random.uniform(2 + channels)
        top, left = (draws[:, 0] * (height - side + 1)).long(), (draws[:, 1] * (width - side + 1)).long()
        signs = (draws[:, 2:] - 0.5).sign().view(count, 1, channels, 1, 1)
        rows, columns = torch.arange(height, device=draws.device), torch.arange(width, device=draws.device)
        tall = (rows >= top[:, None]) & (rows < top[:, None] + side)
        wide = (columns >= left[:, None]) & (columns < left[:, None] + side)
        window = (tall[:, :, None] & wide[:, None, :]).view(count, 1, 1, height, width)
        tried = torch.where(window, (originals + radius * signs).clamp(0, 1), present)
        asked = context.trial.standing
        new = torch.where(asked, _loss(context, tried, asked), loss)
        better = (new < loss)[:, :, None, None, None]
        present, loss = torch.where(better, tried, present), torch.minimum(new, loss)
    context.trial.propose(present)
    return context.trial.best


def _loss(context: SweepContext[SquareParameters], images: Tensor, where: Tensor | None = None) -> Tensor:
    """Return max(-margin, kappa * excess), shape (N, E): negative where the defense accepts a wrong class."""
    found = torch.zeros(images.shape[:2], device=images.device)
    # All epsilons at once: asked one by one they would take draws from each other.
    owners, places = (torch.ones_like(found) if where is None else where).nonzero(as_tuple=True)
    target, part = context.target.select(owners), images[owners, places]
    verdict = target.verdict(part)
    wrong = -margin(verdict.logits, context.labels[owners])
    over = _KAPPA * excess(target, verdict.score, part)
    found[owners, places] = wrong if verdict.score is None else torch.maximum(wrong, over)
    return found


def _share(step: int, queries: int, first: float) -> float:
    """Return the share of pixels that a window covers: halved at set shares of the queries, as in the paper."""
    halvings = sum(step >= queries * place / 10_000 for place in (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000))
    return float(first / 2**halvings)


def _per_pixel(epsilons: Tensor) -> Tensor:
    return epsilons.float()[:, :, None, None, None]
