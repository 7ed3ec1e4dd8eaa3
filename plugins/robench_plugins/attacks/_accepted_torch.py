"""A defense as libraries attack it that know of no rejection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from robench.api import PluginError

if TYPE_CHECKING:
    from robench.api import Target


class AcceptedAnswer(nn.Module):
    """The logits of a defense, and where it rejects, the true class wins.

    Libraries take every other class than the label for a success; so it is one here only if it is accepted. Where the
    defense rejects, the label's logit is raised by a constant: the gradient stays that of the logits.

    Args:
        target: The defense, for N images.
        labels: Their true classes, shape (N,), int64.
    """

    def __init__(self, target: Target, labels: Tensor) -> None:
        super().__init__()
        self._target, self._labels = target, labels
        # torchattacks looks for the device among the parameters, and prints a complaint if there are none.
        self.device_mark = nn.Parameter(torch.zeros(0, device=labels.device), requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        """Answer images, shape (N, C, H, W), with logits of shape (N, K).

        Raises:
            PluginError: If a gradient is asked for and the defense lets none pass.
        """
        verdict = self._target.verdict(images)
        logits = verdict.logits
        if images.requires_grad and torch.is_grad_enabled() and not logits.requires_grad:
            message = "the answer of the defense has no gradient"
            raise PluginError(message, "use an attack that needs none, such as square")
        if verdict.score is None or self._target.threshold is None:
            return logits.clone()  # Square writes to what it gets
        own = logits.gather(1, self._labels[:, None])
        lift = (logits.amax(1, keepdim=True) - own + 1).detach()
        rejected = (verdict.score > self._target.threshold)[:, None]
        return logits.scatter_add(1, self._labels[:, None], torch.where(rejected, lift, 0.0))

    def select(self, rows: Tensor) -> AcceptedAnswer:
        """Return the same for some of the images, shape (M,), int64."""
        return AcceptedAnswer(self._target.select(rows), self._labels[rows]).eval()

    @torch.no_grad()
    def fooled(self, images: Tensor) -> Tensor:
        """Say which images, shape (N, C, H, W), are accepted as a wrong class, shape (N,), bool."""
        return self(images).argmax(1) != self._labels  # type: ignore[no-any-return]
