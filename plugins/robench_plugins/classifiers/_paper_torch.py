"""Modules of classifiers A and B.

Source: Wester & Thisted (2020), Table 6 for the layers, the authors' notebook for paddings and dropout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ClassifierA(nn.Sequential):
    """Images, shape (N, 1, 28, 28), to logits, shape (N, classes). 924,746 parameters for ten classes."""

    def __init__(self, classes: int) -> None:
        super().__init__(
            nn.Conv2d(1, 64, 5),
            nn.ReLU(),
            nn.Conv2d(64, 64, 5, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.25),
            nn.Linear(64 * 10 * 10, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, classes),
        )


class ClassifierB(nn.Sequential):
    """Images, shape (N, C, H, W) with even H and W, to logits, shape (N, classes). 34.06 M parameters for CIFAR-10.

    The strided convolution is padded below and to the right only, as ``same`` means in the authors' framework.

    Args:
        shape: Of an image.
        classes: Their number.
        notebook: Take the authors' notebook where it contradicts their table: 5 x 5 kernels, and dilation 2 in place
            of stride 2. 135 M parameters for CIFAR-10.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, *, notebook: bool = False) -> None:
        channels, height, width = shape
        kernel, padding = (5, 2) if notebook else (3, 1)
        last: list[nn.Module] = [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(128, 256, 3, stride=2)]
        pixels = (height // 2) * (width // 2)
        if notebook:
            last, pixels = [nn.Conv2d(128, 256, 5, dilation=2, padding=4)], height * width
        super().__init__(
            nn.Conv2d(channels, 64, kernel, padding=padding),
            nn.ReLU(),
            nn.Conv2d(64, 128, kernel, padding=padding),
            nn.ReLU(),
            *last,
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.25),
            nn.Linear(256 * pixels, 512),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Linear(256, classes),
        )


def cross_entropy(module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return the mean cross-entropy as ``loss`` and the share of correct labels as ``accuracy``."""
    logits = module(images).float()
    with torch.no_grad():
        accuracy = (logits.argmax(1) == labels).float().mean()
    return {"loss": functional.cross_entropy(logits, labels), "accuracy": accuracy}
