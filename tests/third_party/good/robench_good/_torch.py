from __future__ import annotations

from torch import Tensor, nn

from robench.api import Verdict


class Darkened(nn.Module):
    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Verdict:
        return Verdict(logits=self.classifier(0.95 * images))
