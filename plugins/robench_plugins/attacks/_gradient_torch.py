"""What the paper's attacks raise."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from robench.api import Target


def cross_entropy(target: Target, images: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the deployed composite, shape (M,), for images of shape (M, C, H, W)."""
    return functional.cross_entropy(target.head(images), labels, reduction="none")


def unmasked_cross_entropy(target: Target, images: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the class logits, shape (M,), whatever the defense rejects."""
    return functional.cross_entropy(target.verdict(images).logits, labels, reduction="none")


LOSSES = MappingProxyType({"masked": cross_entropy, "unmasked": unmasked_cross_entropy})
"""By head."""
