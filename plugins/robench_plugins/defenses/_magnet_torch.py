"""Autoencoders, detectors and reformer of MagNet.

Source: Meng & Chen (2017), section 5 and their published settings: on grey images two autoencoders, the first judged
by squared and the second by absolute error; on colour images one, with two detectors on the classifier's softmax.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from robench.api import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from robench.api import FitContext

_COLOUR_RATES = (0.005, 0.01, 0.01)
_TEMPERATURES = (10.0, 40.0)
_ACTIVITY_PENALTY = 1e-9


def build_autoencoder(kind: str, channels: int) -> nn.Sequential:
    """Build an autoencoder of 3 x 3 convolutions with three filters and sigmoids.

    Args:
        kind: ``pooling`` halves the resolution in between, ``flat`` does not.
        channels: Of the images.
    """

    def layer(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.Sigmoid()]

    if kind == "pooling":
        down, up = nn.AvgPool2d(2), nn.Upsample(scale_factor=2)
        return nn.Sequential(
            *layer(channels, 3), down, *layer(3, 3), *layer(3, 3), up, *layer(3, 3), *layer(3, channels)
        )
    return nn.Sequential(*layer(channels, 3), *layer(3, 3), *layer(3, channels))


def reconstruction_loss(*, noise: float) -> Callable[[nn.Module, Tensor, Tensor], dict[str, Tensor]]:
    """Return the loss: mean squared error of restoring images from noisy ones, plus a penalty on activity.

    Args:
        noise: Standard deviation of the noise, in pixel values.
    """

    def loss(module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:  # noqa: ARG001
        noisy = (images + noise * torch.randn_like(images)).clamp(0, 1)
        activity = torch.zeros((), device=images.device)
        values = noisy
        for index, part in enumerate(module.children()):
            values = part(values)
            if isinstance(part, nn.Sigmoid) and index == 1:
                activity = values.float().square().sum() / len(images)
        error = functional.mse_loss(values.float(), images)
        return {"loss": error + _ACTIVITY_PENALTY * activity, "squared_error": error}

    return loss


def divergence(left: Tensor, right: Tensor, temperature: float) -> Tensor:
    """Jensen-Shannon divergence of two softmaxes, in nats.

    Args:
        left: Logits, shape (N, K).
        right: Logits, shape (N, K).
        temperature: Divides the logits.

    Returns:
        Shape (N,), in [0, ln 2].
    """
    first, second = (functional.log_softmax(logits / temperature, dim=1) for logits in (left, right))
    middle = torch.logaddexp(first, second) - math.log(2)
    terms = [functional.kl_div(middle, part, reduction="none", log_target=True).sum(1) for part in (first, second)]
    return (terms[0] + terms[1]) / 2


class MagNet(nn.Module):
    """Rejects what any detector finds too far from the manifold; classifies the reformed image otherwise.

    The score is the largest of all marks, each divided by its detector's own threshold, so that 1 is the threshold of
    every detector at once.

    Args:
        classifier: Images to logits, shape (N, K).
        autoencoders: The first one is the reformer.
    """

    limits: Tensor

    def __init__(self, classifier: nn.Module, autoencoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.classifier = classifier
        self.autoencoders = nn.ModuleList(autoencoders)
        self.grey = len(autoencoders) > 1
        self.register_buffer("limits", torch.ones(len(autoencoders) if self.grey else len(_COLOUR_RATES)))

    def marks(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return each detector's mark, shape (N, detectors), and the logits of the reformed images, shape (N, K)."""
        restored = [autoencoder(images) for autoencoder in self.autoencoders]
        logits = self.classifier(restored[0])
        if self.grey:
            squared = (images - restored[0]).square().mean((1, 2, 3))
            absolute = (images - restored[1]).abs().mean((1, 2, 3))
            return torch.stack([squared, absolute], dim=1), logits
        absolute = (images - restored[0]).abs().mean((1, 2, 3))
        direct = self.classifier(images)
        softmax = [divergence(direct, logits, temperature) for temperature in _TEMPERATURES]
        return torch.stack([absolute, *softmax], dim=1), logits

    def forward(self, images: Tensor) -> Verdict:
        """Detect and classify images, shape (N, C, H, W), float32, in [0, 1]."""
        marks, logits = self.marks(images)
        return Verdict(logits=logits, score=(marks / self.limits).amax(dim=1))


def fit_detectors(context: FitContext) -> float:
    """Give every detector its own threshold on clean images and return that of the combined score, which is 1.

    On colour images the detectors have the published rates, on grey ones the run's rate each.
    """
    defense = context.defense
    if not isinstance(defense, MagNet):
        message = f"expected MagNet, got {type(defense).__name__}"
        raise TypeError(message)
    marks = torch.cat([defense.marks(batch)[0] for batch in context.batches])
    rates = [context.false_positive_rate] * marks.shape[1] if defense.grey else _COLOUR_RATES
    limits = [context.rank_threshold(marks[:, column], rate) for column, rate in enumerate(rates)]
    defense.limits.copy_(torch.tensor(limits))
    return 1.0
