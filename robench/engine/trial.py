"""What has been tried on a batch and has won; see ``robench.api.Trial``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from robench.api import PluginError
from robench.engine.balls import BALLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from robench.api import Norm

    Confirm = Callable[[Tensor, Tensor, int, int], Tensor]


class BatchTrial:
    """Slots of a batch, numbered image by image and, within an image, epsilon by epsilon.

    Args:
        confirm: ``confirm(images, owners, stage, step)`` says for M images of shape (M, C, H, W), made from the images
            of the batch with these numbers, (M,), on what share of fresh draws the real defense, in float32, answers as
            the attack wants: (M,), float32. The draws may depend on the image, the stage and the step, but not on which
            others are asked.
        images: The originals, shape (N, C, H, W), float32, in [0, 1].
        epsilons: Shape (N, E), float64.
        norm: Of the balls.

    Attributes:
        share: Largest share of draws that each slot has won, shape (N * E,), float32; -1 where nobody asked.
        stage: Number of calls so far that put something to the defense.
    """

    def __init__(self, confirm: Confirm, images: Tensor, epsilons: Tensor, norm: Norm = "linf") -> None:
        self._confirm, self._ball = confirm, BALLS[norm]
        self._shape = (*epsilons.shape, *images.shape[1:])
        self._originals, self._count = images, epsilons.shape[1]
        self._radius = epsilons.flatten().float().view(-1, 1, 1, 1)
        self._best = images.repeat_interleave(self._count, dim=0)
        self.share = torch.full((len(self._best),), -1.0, device=images.device)
        self.stage = 0

    @property
    def won(self) -> Tensor:
        """Which slots have been won for good, shape (N * E,), bool: on every draw, so that there is nothing to add."""
        return self.share >= 1

    @property
    def standing(self) -> Tensor:
        """Which slots are still worth attacking, shape (N, E), bool."""
        return ~self.won.view(self._shape[:2])

    @property
    def best(self) -> Tensor:
        """What counts of each slot, shape (N, E, C, H, W)."""
        return self._best.view(self._shape).clone()

    def owners(self, slots: Tensor) -> Tensor:
        """Return the numbers of the images that slots belong to."""
        return slots.div(self._count, rounding_mode="floor")

    def project(self, images: Tensor, slots: Tensor) -> Tensor:
        """Move images, shape (M, C, H, W), into the balls of these slots, shape (M,), and into [0, 1]."""
        originals, radius = self._originals[self.owners(slots)], self._radius[slots]
        return self._ball.project(images, originals, radius)

    def propose(self, images: Tensor, where: Tensor | None = None) -> Tensor:
        """Put one image for each slot that stands to the real defense and return which slots are won by now."""
        if tuple(images.shape) != self._shape:
            message = f"what was proposed has shape {tuple(images.shape)}"
            raise PluginError(message, f"propose one image for each slot, shape {self._shape}")
        self.stage += 1
        meant = ~self.won if where is None else where.flatten() & ~self.won
        (slots,) = meant.nonzero(as_tuple=True)
        if len(slots):
            self.challenge(self.project(images.detach().float().flatten(0, 1)[slots], slots), slots, 0)
        return ~self.standing

    def challenge(self, images: Tensor, slots: Tensor, step: int) -> Tensor:
        """Put images to the real defense and keep the best of each slot.

        Args:
            images: Shape (M, C, H, W), inside their balls.
            slots: Shape (M,), int64; a slot may occur several times.
            step: Which step of the present stage they are from.

        Returns:
            Which of the images' slots are won for good, shape (M,), bool.
        """
        shares = self._confirm(images, self.owners(slots), self.stage, step)
        # Of several images of a slot the best counts, and of equals the first.
        most = torch.full_like(self.share, -1.0).scatter_reduce(0, slots, shares, "amax")
        numbers = torch.arange(len(slots), device=slots.device)
        ahead = torch.where(shares == most[slots], numbers, len(slots))
        first = torch.full_like(slots, len(slots)).new_full((len(self.share),), len(slots))
        first.scatter_reduce_(0, slots, ahead, "amin")
        counts = (first[slots] == numbers) & (shares >= self.share[slots])
        chosen = slots[counts]
        self._best[chosen] = images[counts]
        self.share[chosen] = shares[counts]
        return self.won[slots]
