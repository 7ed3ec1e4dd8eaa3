from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from robench.api import Candidate, Candidates, Verdict
from robench_lying._lies_torch import Lie

if TYPE_CHECKING:
    from robench.api import ImageRandom


class Lying(nn.Module):
    def __init__(self, classifier: nn.Module, lie: str) -> None:
        super().__init__()
        self.classifier, self.lie = classifier, lie
        self.layer = Lie(lie)

    def forward(self, images: Tensor, random: ImageRandom | None = None) -> Verdict:
        if random is not None and self.lie == "repeats-itself":
            images = images + 0.1 * random.normal(*images.shape[1:])
        logits = self.classifier(self.layer(images))
        if self.lie == "answers-with-a-verdict":
            logits = logits / (images[:, :1, 0, 0] > 0.5)
        if self.lie == "is-stochastic-as-declared-2":
            logits = logits + torch.rand_like(logits)
        scored = self.lie in {"rejects-as-declared", "fits-and-calibrates", "fits-and-calibrates-2"}
        return Verdict(logits=logits, score=images.mean((1, 2, 3)) if scored else None)


class Selecting(Lying):
    shift = 1

    def candidates(self, images: Tensor) -> Candidates:
        logits = self.classifier(images)

        def take(choice: Tensor) -> Candidate:
            rolled = logits.roll(self.shift, dims=1)
            return Candidate(images=images, logits=rolled, error=logits.gather(1, choice[:, None])[:, 0])

        return Candidates(errors=-logits, take=take)


class Choosy(Selecting):
    shift = 0

    def candidate(self, images: Tensor, choice: Tensor) -> Candidate:
        found = self.candidates(images)
        return found.take((choice + 1) % found.errors.shape[1])
