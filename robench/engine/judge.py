"""Judgement: whether an attacked image is admissible, and how the real defense answers it, in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from robench.api import PluginError
from robench.api.records import NORM_LABELS, ImageOutcome, Outcome
from robench.engine.balls import BALLS, within
from robench.engine.precision import judging_precision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from robench.api import ImageRandom, Norm
    from robench.engine.deploy import Deployed


def check_admissible(attack: str, attacked: object, originals: Tensor, radius: Tensor, norm: Norm = "linf") -> Tensor:
    """Return the attacked images if the attack kept to the rules.

    Args:
        attack: Name, for the message.
        attacked: What the attack returned.
        originals: Centres of the balls, shape (..., C, H, W), float32, in [0, 1].
        radius: Shape (...,), float64, in pixel values; infinite where any distance is admissible.
        norm: Of the balls.

    Raises:
        PluginError: If the images are no float32 tensor of that shape, not finite, outside [0, 1] or outside the ball.
    """
    if not isinstance(attacked, torch.Tensor):
        message = f"attack {attack} returned {type(attacked).__name__}"
        raise PluginError(message, "it must return the attacked images as a tensor")
    if attacked.shape != originals.shape or attacked.dtype != originals.dtype:
        message = f"attack {attack} returned {tuple(attacked.shape)} {attacked.dtype}"
        raise PluginError(message, f"expected {tuple(originals.shape)} {originals.dtype}")
    attacked = attacked.detach()
    if not bool(attacked.isfinite().all()):
        message = f"attack {attack} returned {int((~attacked.isfinite()).sum())} values that are not finite"
        raise PluginError(message, "its gradients may be NaN")
    if float(attacked.min()) < 0 or float(attacked.max()) > 1:
        message = f"attack {attack} left [0, 1]: values from {float(attacked.min()):g} to {float(attacked.max()):g}"
        raise PluginError(message, "clip the images")
    outside = ~within(norm, attacked, originals, radius)
    if bool(outside.any()):
        distance = BALLS[norm].distance(attacked, originals)
        worst = (distance - radius).masked_fill(~outside, -torch.inf).flatten().argmax()
        moved, allowed = float(distance.flatten()[worst]), float(radius.flatten()[worst])
        message = f"attack {attack} left the {NORM_LABELS[norm]} ball: {moved:g} away at epsilon {allowed:g}"
        raise PluginError(message, "project onto the ball")
    return attacked


def judge(
    deployed: Deployed,
    images: Tensor,
    labels: Tensor,
    *,
    positions: Sequence[int],
    indices: Sequence[int],
    random: ImageRandom,
    draws: int = 1,
) -> tuple[ImageOutcome, ...]:
    """Ask the real defense and sort each image into correct, wrong or rejected.

    Args:
        deployed: The defense with its threshold.
        images: Shape (N, C, H, W), float32, in [0, 1].
        labels: Shape (N,), int64.
        positions: Of the images in the run's order.
        indices: Of the images in the test split.
        random: Fresh streams: an attack must not be judged on the draws that it saw.
        draws: How often a stochastic defense is asked. What it answers most of the times is the outcome; prediction
            and score are of the first answer with that outcome.

    Raises:
        PluginError: If the defense's answer is malformed or not finite.
    """
    with torch.no_grad(), judging_precision(images.device):
        answers = [_ask(deployed, images, labels, random) for _ in range(draws)]
    wrong = torch.stack([answer[0] for answer in answers]).sum(0)
    rejected = torch.stack([answer[1] for answer in answers]).sum(0)
    outcome = torch.where(2 * wrong > draws, 0, torch.where(rejected > draws - wrong - rejected, 1, 2))
    names = (Outcome.WRONG, Outcome.REJECTED, Outcome.CORRECT)
    # Each answer as the number of its outcome; the first that equals the outcome speaks for it.
    kinds = torch.stack([torch.where(answer[0], 0, torch.where(answer[1], 1, 2)) for answer in answers])
    speaker = (kinds == outcome).to(torch.int8).argmax(0)
    each = torch.arange(len(images), device=images.device)
    predictions = torch.stack([answer[2] for answer in answers])[speaker, each]
    scores: Sequence[float | None] = [None] * len(images)
    given = [answer[3] for answer in answers if answer[3] is not None]
    if given:
        scores = torch.stack(given)[speaker, each].tolist()
    rows = zip(
        positions,
        indices,
        labels.tolist(),
        predictions.tolist(),
        outcome.tolist(),
        scores,
        wrong.tolist(),
        rejected.tolist(),
        strict=True,
    )
    return tuple(
        ImageOutcome(
            position=position,
            image=image,
            label=label,
            prediction=prediction,
            outcome=names[number],
            score=score,
            draws=draws,
            draws_wrong=wrongly,
            draws_rejected=rejecting,
        )
        for position, image, label, prediction, number, score, wrongly, rejecting in rows
    )


def _ask(
    deployed: Deployed, images: Tensor, labels: Tensor, random: ImageRandom
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Return who is wrong and accepted, who is rejected, the predictions and the scores, each of shape (N,)."""
    verdict = deployed.verdict(images, random)
    score = verdict.score
    if not bool(verdict.logits.isfinite().all() and (score is None or score.isfinite().all())):
        message = f"defense {deployed.name} answered with values that are not finite"
        raise PluginError(message, "its logits or scores are NaN or infinite")
    rejected = deployed.rejects(score, verdict.logits)
    predictions = verdict.logits.argmax(1)
    return (predictions != labels) & ~rejected, rejected, predictions, score
