"""What the answers of a defense are like: random, probabilities, or jumpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from robench.engine.deploy import BoundTarget
from robench.engine.examples import from_eight_bit, to_eight_bit
from robench.engine.precision import judging_precision

if TYPE_CHECKING:
    from torch import Tensor

    from robench.engine.diagnostics.probe import Probe, Tried

PASSES = 5
"""How often the same images are put to the defense."""

_SAME = 1e-5
"""Largest difference of answers that count as the same, in units of the largest answer: the last digits of float32."""

_SUM = 1e-3
"""How far from 1 the sum of probabilities may be."""
_NOISE = 4 / 255
"""Half width of the uniform noise, in pixel values."""
_NOISES = 5


def count_differing(probe: Probe) -> int:
    """Count the images whose logits or score differ between passes; a stochastic defense draws afresh for each."""
    slots = probe.slots("0")
    images = probe.images(slots)[0]
    first, *others = (_columns(probe, images, f"pass {number}") for number in range(PASSES))
    limit = _SAME * first.abs().amax(0)
    differing = torch.stack([((other - first).abs() > limit).any(1) for other in others]).any(0)
    return int(differing.sum())


@torch.no_grad()
def _columns(probe: Probe, images: Tensor, purpose: str) -> Tensor:
    """Return logits and score of each image side by side, shape (N, K) or (N, K + 1)."""

    def ask(part: slice) -> Tensor:
        verdict = probe.prepared.deployed.verdict(images[part], probe.streams(probe.slots("0")[part], purpose))
        scores = [] if verdict.score is None else [verdict.score[:, None]]
        return torch.cat([verdict.logits, *scores], dim=1)

    with judging_precision(probe.device):
        return probe.in_parts(ask, len(images))


def rounded(probe: Probe, tried: Tried) -> Tried:
    """Put examples to the defense as an image file would have them: in 8 bits, inside the ball."""
    originals, _ = probe.images(tried.slots)
    eight_bit = to_eight_bit(tried.examples, originals, probe.radius(tried.slots).double(), probe.norm)
    return probe.judge(tried.slots, from_eight_bit(eight_bit))


def redrawn(probe: Probe, tried: Tried) -> Tried:
    """Put examples to a stochastic defense on draws that nothing has seen."""
    return probe.judge(tried.slots, tried.examples, purpose="redraw")


def are_probabilities(probe: Probe) -> bool:
    """Say whether the logits of clean images are rows of numbers that are not negative and sum to 1."""
    logits = _head(probe, probe.images(probe.slots("0"))[0], masked=False)
    return bool((logits >= 0).all()) and bool(((logits.sum(1) - 1).abs() < _SUM).all())


def relative_change(probe: Probe) -> float:
    """Return how much the loss of clean images changes under noise of 4/255, in units of the loss.

    The loss is the margin of the deployed composite. That of the cross-entropy would change by a multiple wherever the
    classifier is sure, however smooth it is. A stochastic defense makes the same draws with and without noise.

    Source: Pintor et al. (2022), section 3, unstable predictions.
    """
    slots = probe.slots("0")
    images, labels = probe.images(slots)
    streams = probe.streams(slots, "noise")
    calm = _margin(_head(probe, images), labels)
    changes = []
    for _ in range(_NOISES):
        noise = _NOISE * (2 * streams.uniform(*images.shape[1:]) - 1)
        changes.append((_margin(_head(probe, (images + noise).clamp(0, 1)), labels) - calm).abs())
    return float(torch.stack(changes).mean() / calm.abs().mean().clamp_min(1e-12))


@torch.no_grad()
def _head(probe: Probe, images: Tensor, *, masked: bool = True) -> Tensor:
    """Return what the deployed composite answers clean images or noisy ones, or the logits alone."""

    def ask(part: slice) -> Tensor:
        target = BoundTarget(probe.prepared.deployed, probe.streams(probe.slots("0")[part], "answer"))
        return target.head(images[part]) if masked else target.verdict(images[part]).logits

    with judging_precision(probe.device):
        return probe.in_parts(ask, len(images))


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    own = logits.gather(1, labels[:, None])[:, 0]
    return logits.scatter(1, labels[:, None], -torch.inf).amax(1) - own
