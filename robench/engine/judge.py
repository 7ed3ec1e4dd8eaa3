"""Judgement: whether an attacked image is admissible, and how the real defense answers it, in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from robench.api import PluginError
from robench.api.records import ImageOutcome, Outcome
from robench.engine.precision import judging_precision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from robench.api import ImageRandom
    from robench.engine.deploy import Deployed

TOLERANCE = 1e-6
"""Rounding allowed beyond epsilon, in pixel values: adding and clipping in float32 costs up to 6e-8."""


def check_admissible(attack: str, attacked: object, originals: Tensor, radius: Tensor) -> Tensor:
    """Return the attacked images if the attack kept to the rules.

    Args:
        attack: Name, for the message.
        attacked: What the attack returned.
        originals: Centres of the balls, shape (..., C, H, W), float32, in [0, 1].
        radius: Shape (...,), float64, in pixel values.

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
    distance = (attacked - originals).abs().flatten(-3).amax(-1).double()
    worst = (distance - radius).flatten().argmax()
    moved, allowed = float(distance.flatten()[worst]), float(radius.flatten()[worst])
    if moved > allowed + TOLERANCE:
        message = f"attack {attack} moved a pixel by {moved:g} at epsilon {allowed:g}"
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
) -> tuple[ImageOutcome, ...]:
    """Ask the real defense and sort each image into correct, wrong or rejected.

    Args:
        deployed: The defense with its threshold.
        images: Shape (N, C, H, W), float32, in [0, 1].
        labels: Shape (N,), int64.
        positions: Of the images in the run's order.
        indices: Of the images in the test split.
        random: Fresh streams: an attack must not be judged on the draws that it saw.

    Raises:
        PluginError: If the defense's answer is malformed or not finite.
    """
    with torch.inference_mode(), judging_precision(images.device):
        verdict = deployed.verdict(images, random)
        score = verdict.score
        finite = verdict.logits.isfinite().all() and (score is None or score.isfinite().all())
        if not bool(finite):
            message = f"defense {deployed.name} answered with values that are not finite"
            raise PluginError(message, "its logits or scores are NaN or infinite")
        predictions = verdict.logits.argmax(1)
        rejected = torch.zeros_like(labels, dtype=torch.bool)
        if score is not None and deployed.threshold is not None:
            rejected = score > deployed.threshold
    scores: Sequence[float | None] = [None] * len(images) if score is None else score.tolist()
    rows = zip(positions, indices, labels.tolist(), predictions.tolist(), rejected.tolist(), scores, strict=True)
    return tuple(
        ImageOutcome(
            position=position,
            image=image,
            label=label,
            prediction=prediction,
            outcome=Outcome.REJECTED if reject else Outcome.CORRECT if prediction == label else Outcome.WRONG,
            score=value,
        )
        for position, image, label, prediction, reject, value in rows
    )
