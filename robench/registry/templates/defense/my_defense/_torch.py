"""The module of my-defense."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from robench.api import Verdict


class SmoothedClassifier(nn.Module):
    """Answers with the classifier's logits for the smoothed image.

    Args:
        classifier: Trained and frozen; images in [0, 1] to logits.
        width: Of the square that is averaged, in pixels, odd.
    """

    def __init__(self, classifier: nn.Module, width: int) -> None:
        super().__init__()
        self.classifier = classifier
        self.width = width

    def forward(self, images: Tensor) -> Verdict:
        """Answer images, shape (N, C, H, W), float32, in [0, 1], each without regard to the others.

        Let gradients pass, or declare ``differentiable=False``: hidden gradients do not stop attacks that know of them.
        Never write to the images.
        """
        smooth = functional.avg_pool2d(images, self.width, stride=1, padding=self.width // 2, count_include_pad=False)
        logits: Tensor = self.classifier(smooth)
        before = functional.softmax(self.classifier(images), dim=1)
        score = (functional.softmax(logits, dim=1) - before).abs().sum(1)  # larger: more suspicious
        return Verdict(logits=logits, score=score)
