from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from robench.api import Verdict

if TYPE_CHECKING:
    from robench.api import AttackContext, ImageRandom, NoParameters


def build_linear(shape: tuple[int, int, int], classes: int) -> nn.Module:
    channels, height, width = shape
    return nn.Sequential(
        nn.Flatten(), nn.Linear(channels * height * width, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, classes)
    )


def cross_entropy(module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    return {"loss": functional.cross_entropy(module(images).float(), labels)}


class BrightnessDetector(nn.Module):
    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Verdict:
        return Verdict(logits=self.classifier(images), score=images.mean((1, 2, 3)))


class CoinClassifier(nn.Module):
    """Answers as the classifier does, but for one time in ten, when it takes the next class."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        logits: Tensor = self.classifier(images)
        honest = random.uniform() < 0.9
        return Verdict(logits=logits.where(honest[:, None], logits.roll(1, dims=1)))


class NoisyClassifier(nn.Module):
    def __init__(self, classifier: nn.Module, scale: float) -> None:
        super().__init__()
        self.classifier = classifier
        self.scale = scale

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        return Verdict(logits=self.classifier(images + self.scale * random.normal(*images.shape[1:])))


def halve_the_way(context: AttackContext[NoParameters]) -> Tensor:
    """Find for each image the first one that fools the defense on the way to a clean image of another class."""
    found = context.images.clone()
    for row, (image, label) in enumerate(zip(context.images, context.labels, strict=True)):
        target = context.target.select(torch.tensor([row]))
        goal = context.references.images[context.references.labels != label][:1]
        low, high = 0.0, 1.0
        for _ in range(8):
            middle = (low + high) / 2
            tried = image + middle * (goal - image)
            verdict = target.verdict(tried)
            accepted = verdict.score is None or target.threshold is None or bool(verdict.score <= target.threshold)
            if accepted and int(verdict.logits.argmax(1)) != int(label):
                high, found[row] = middle, tried[0]
            else:
                low = middle
    return found
