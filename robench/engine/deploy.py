"""A defense as it is deployed: frozen, its threshold fixed, its randomness bound to images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from robench.api import PluginError, Verdict
from robench.engine.precision import computing
from robench.engine.seeding import SelectedStreams

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
        precision: Number format in which ``module`` computes: ``float32``, except in the search form of a defense.
    """

    name: str
    module: nn.Module
    classifier: nn.Module
    classes: int
    threshold: float | None
    stochastic: bool
    precision: str = "float32"

    def verdict(self, images: Tensor, random: ImageRandom) -> Verdict:
        """Ask the defense and check the form of its answer.

        Raises:
            PluginError: If the answer is no ``Verdict`` or has another form than declared.
        """
        with computing(self.precision, images.device):
            answer = self.module(images, random) if self.stochastic else self.module(images)
        if self.precision != "float32" and isinstance(answer, Verdict):
            score = None if answer.score is None else answer.score.float()
            answer = Verdict(logits=answer.logits.float(), score=score)
        self._check(answer, len(images))
        return answer  # type: ignore[no-any-return]

    def accepts(self, verdict: Verdict) -> Tensor:
        """Say which images of a verdict are not rejected, shape (N,), bool."""
        if self.threshold is None or verdict.score is None:
            return torch.ones(len(verdict.logits), dtype=torch.bool, device=verdict.logits.device)
        return verdict.score <= self.threshold

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
        self._latest: Verdict | None = None

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
        self._latest = self._deployed.verdict(images, self._random)
        return self._latest

    def select(self, rows: Tensor) -> BoundTarget:
        """Return the same defense for some images of the batch."""
        return BoundTarget(self._deployed, SelectedStreams(self._random, rows))

    def fooled(self, labels: Tensor) -> Tensor:
        """Say which images the latest verdict accepts as a wrong class, shape (N,), bool; none before the first.

        Args:
            labels: Shape (N,), int64: the true classes.
        """
        verdict = self._latest
        if verdict is None or len(verdict.logits) != len(labels):
            return torch.zeros_like(labels, dtype=torch.bool)
        with torch.no_grad():
            return (verdict.logits.argmax(1) != labels) & self._deployed.accepts(verdict)


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
