"""A defense as it is deployed: frozen, its threshold fixed, its randomness bound to images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from robench.api import PluginError, Verdict

if TYPE_CHECKING:
    from robench.api import ImageRandom


def freeze(module: nn.Module, device: torch.device) -> nn.Module:
    """Move a module to the device in channels-last format, in evaluation mode, without parameter gradients."""
    module = module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module.eval().requires_grad_(False)


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A trained defense with its threshold.

    Attributes:
        name: Of the defense.
        module: Images (and randomness, if stochastic) to a ``Verdict``.
        classifier: The undefended classifier.
        classes: Number K of classes.
        threshold: Scores above it are rejected; None when it never rejects.
        stochastic: Whether the module takes an ``ImageRandom``.
    """

    name: str
    module: nn.Module
    classifier: nn.Module
    classes: int
    threshold: float | None
    stochastic: bool

    def verdict(self, images: Tensor, random: ImageRandom) -> Verdict:
        """Ask the defense and check the form of its answer.

        Raises:
            PluginError: If the answer is no ``Verdict`` or has another form than declared.
        """
        answer = self.module(images, random) if self.stochastic else self.module(images)
        self._check(answer, len(images))
        return answer  # type: ignore[no-any-return]

    def _check(self, answer: object, count: int) -> None:
        if not isinstance(answer, Verdict):
            message = f"defense {self.name} answered with {type(answer).__name__}"
            raise PluginError(message, "its forward must return a robench.api.Verdict")
        if tuple(answer.logits.shape) != (count, self.classes):
            message = f"defense {self.name}: logits have shape {tuple(answer.logits.shape)}"
            raise PluginError(message, f"expected ({count}, {self.classes})")
        if answer.logits.dtype != torch.float32:
            message = f"defense {self.name}: logits are {answer.logits.dtype}"
            raise PluginError(message, "answer in float32")
        if self.threshold is not None and answer.score is None:
            message = f"defense {self.name} is declared rejecting but its verdict has no score"
            raise PluginError(message, "return a score, or declare rejecting=False")
        if answer.score is not None and tuple(answer.score.shape) != (count,):
            message = f"defense {self.name}: score has shape {tuple(answer.score.shape)}"
            raise PluginError(message, f"expected ({count},)")


class BoundTarget:
    """A deployed defense with the random streams of one batch; see ``robench.api.Target``."""

    def __init__(self, deployed: Deployed, random: ImageRandom) -> None:
        self._deployed = deployed
        self._random = random
        self._head = Head(self)

    @property
    def classes(self) -> int:
        """Number K of classes."""
        return self._deployed.classes

    @property
    def threshold(self) -> float | None:
        """Scores above it are rejected."""
        return self._deployed.threshold

    @property
    def classifier(self) -> nn.Module:
        """The undefended classifier."""
        return self._deployed.classifier

    @property
    def head(self) -> nn.Module:
        """The deployed composite as one function."""
        return self._head

    def verdict(self, images: Tensor) -> Verdict:
        """Ask the defense itself."""
        return self._deployed.verdict(images, self._random)


class Head(nn.Module):
    """Images to logits, shape (N, K), or (N, K + 1) with the paper's masked head where the defense rejects.

    Source: Wester & Thisted (2020), section 4, and the authors' notebook: [logits * 1(s <= t), 1(s > t)].
    """

    def __init__(self, target: BoundTarget) -> None:
        super().__init__()
        self._target = target

    def forward(self, images: Tensor) -> Tensor:
        """Answer images, shape (N, C, H, W), float32, in [0, 1]."""
        verdict = self._target.verdict(images)
        threshold = self._target.threshold
        if threshold is None or verdict.score is None:
            return verdict.logits
        rejected = (verdict.score > threshold).to(verdict.logits.dtype)[:, None]
        return torch.cat([verdict.logits * (1 - rejected), rejected], dim=1)
