"""Module of the defense ``none``."""

from __future__ import annotations

from torch import Tensor, nn

from robench.api import Verdict


class Undefended(nn.Module):
    """Answers with the classifier's logits and never rejects."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Verdict:
        """Classify images, shape (N, C, H, W), float32, in [0, 1]."""
        return Verdict(logits=self.classifier(images))
