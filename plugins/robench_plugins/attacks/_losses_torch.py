"""What attacks that know a defense raise: margins and distances to the threshold, in units that fit any defense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from robench.api import Target

_SLOPE = 0.01
"""Of a goal that is reached. Not 0: an iterate that the search form takes for won may need more of a margin."""


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the largest other logit less that of the label, shape (M,): positive where the answer is wrong."""
    own = logits.gather(1, labels[:, None])[:, 0]
    return logits.scatter(1, labels[:, None], -torch.inf).amax(1) - own


def shortfall(distance: Tensor) -> Tensor:
    """Return how far a goal is, where ``distance`` is above 0, and a hundredth of the distance beyond it."""
    return functional.leaky_relu(distance, _SLOPE)


def excess(target: Target, score: Tensor | None, like: Tensor, room: float = 0.0) -> Tensor:
    """Return how far scores are above the threshold, in units of the threshold, shape (M,); 0 without a detector.

    Args:
        target: The defense.
        score: Shape (M,), or None.
        like: Any tensor with M rows.
        room: How far below the threshold to aim, in the same units.
    """
    if score is None or target.threshold is None:
        return torch.zeros(len(like), device=like.device)
    unit = max(abs(target.threshold), 1e-6)
    return (score - target.threshold) / unit + room
