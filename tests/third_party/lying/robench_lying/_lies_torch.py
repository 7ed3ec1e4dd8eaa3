"""A layer before a classifier that breaks one rule, for classifiers and defenses."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn
from torch.nn import functional


class Lie(nn.Module):
    """Passes images on, shape (N, C, H, W), and breaks one rule as it does so."""

    def __init__(self, lie: str) -> None:
        super().__init__()
        self.lie = lie
        if lie == "moves-to-a-device":
            self.offset = torch.full((1, 1, 1), 0.01)
        if lie == "reloads":
            self.drawn = random.random()

    def forward(self, images: Tensor) -> Tensor:  # noqa: PLR0911
        match self.lie:
            case "leaves-images-alone":
                return images.clamp_(0.35, 0.65)
            case "answers-a-single-image":
                return images.squeeze(0).reshape(-1, *images.shape[1:]) if len(images) > 1 else images.squeeze()
            case "answers-alike-in-any-batch":
                return images - images.mean(0)
            case "repeats-itself":
                return functional.dropout(images)
            case "reloads":
                return images + self.drawn
            case "moves-to-a-device":
                return images + self.offset
            case "passes-a-gradient":
                return images.round()
            case "leaves-global-state-alone":
                random.random()
            case "prints-nothing":
                print("asked")  # noqa: T201
        return images
