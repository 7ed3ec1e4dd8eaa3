"""The network of my-classifier."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def build(channels: int, classes: int, width: int) -> nn.Module:
    """Return the untrained network: images, shape (N, C, H, W), in [0, 1], to logits, shape (N, classes).

    robench has seeded torch's default generator before it calls this.
    """
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(16 * width, classes),
    )


def cross_entropy(module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return what is minimised, by the name ``loss``. Others may stand beside it and are recorded."""
    return {"loss": functional.cross_entropy(module(images), labels)}
