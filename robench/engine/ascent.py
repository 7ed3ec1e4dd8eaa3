"""Gradient ascent on all epsilons of a batch at once; see ``robench.api.Ascent``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from robench.api import PluginError
from robench.engine.deploy import BoundTarget
from robench.engine.seeding import SharedDraws

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from robench.api import ImageRandom, Keep, Loss
    from robench.engine.deploy import Deployed

    Confirm = Callable[[Tensor, Tensor, int], Tensor]

_STEPS_BETWEEN_LOOKS = {"cpu": 1, "cuda": 8}
"""How often won rows are looked for: on CUDA each look waits for the device."""


class SignAscent:
    """Sign-gradient steps for one batch.

    A row is one image at one epsilon from one start; rows are numbered in this order.

    Args:
        deployed: The search form of the defense.
        random: One stream per image.
        images: Shape (N, C, H, W), float32, in [0, 1].
        labels: Shape (N,), int64.
        epsilons: Shape (N, E), float64.
        rows: How many rows go through the defense together.
        keep: Which iterate counts where the attack does not say.
        confirm: ``confirm(images, owners, step)`` says which of M rows the real defense, in float32 and with draws that
            the search has not seen, accepts as a wrong class: images (M, C, H, W) and numbers of the images that they
            were made from (M,) to bool (M,).
    """

    def __init__(
        self,
        deployed: Deployed,
        random: ImageRandom,
        images: Tensor,
        labels: Tensor,
        epsilons: Tensor,
        *,
        rows: int,
        keep: Keep,
        confirm: Confirm,
    ) -> None:
        self._draws = SharedDraws(random)
        self._target = BoundTarget(deployed, self._draws)
        self._images, self._labels, self._epsilons = images, labels, epsilons
        self._rows, self._keep, self._confirm = rows, keep, confirm

    def __call__(
        self,
        loss: Loss,
        *,
        steps: int,
        relative_step: float,
        random_start: bool = False,
        restarts: int = 1,
        keep: Keep | None = None,
    ) -> Tensor:
        """Attack every image at each of its epsilons and return the results, shape (N, E, C, H, W)."""
        if not callable(loss):
            message = f"the loss to ascend is {loss!r}"
            raise PluginError(message, "it must be a function of target, images and labels")
        keep = keep or self._keep
        count, epsilons = self._epsilons.shape
        owners = torch.arange(count, device=self._images.device).repeat_interleave(epsilons * restarts)
        radius = self._epsilons.flatten().repeat_interleave(restarts)
        rows = _Rows(self._images[owners], owners, radius, relative_step * radius)
        if random_start:
            rows.images = self._start(restarts, radius, rows.originals)
        self._climb(rows, loss, steps, keep, from_originals=not random_start)
        won = rows.won
        if restarts > 1 and keep == "last":
            won = self._confirm(rows.results, owners, steps)
        results = rows.results.view(-1, restarts, *self._images.shape[1:])
        first = won.view(-1, restarts).to(torch.int8).argmax(dim=1)
        chosen = results[torch.arange(len(results), device=first.device), first]
        return chosen.view(count, epsilons, *self._images.shape[1:])

    def _start(self, restarts: int, radius: Tensor, originals: Tensor) -> Tensor:
        """Draw a start for each row; the epsilons of an image share their draws, each scaled to its ball."""
        shape = self._images.shape[1:]
        draws = self._draws.uniform(*((restarts, *shape) if restarts > 1 else shape))
        draws = draws.view(len(draws), 1, restarts, *shape).expand(-1, self._epsilons.shape[1], -1, -1, -1, -1)
        return (originals + (2 * draws.flatten(0, 2) - 1) * _per_pixel(radius)).clamp_(0, 1)

    def _climb(self, rows: _Rows, loss: Loss, steps: int, keep: Keep, *, from_originals: bool) -> None:
        pause = _STEPS_BETWEEN_LOOKS[self._images.device.type]
        for step in range(steps):
            if step == 0 and from_originals:
                # Every epsilon begins at the image itself, so one gradient serves them all.
                each = torch.arange(len(self._images), device=self._images.device)
                gradient, fooled = (values[rows.owners] for values in self._gradient(loss, self._images, each))
            else:
                gradient, fooled = self._gradient(loss, rows.images, rows.owners)
            if keep == "first-win":
                rows.notice(fooled)
                if (step + 1) % pause == 0:
                    rows.settle(lambda images, owners: self._confirm(images, owners, step))  # noqa: B023 (called now)
                    gradient = rows.match(gradient)
                    if len(rows.numbers) == 0:
                        return
            rows.move(gradient)
        if keep == "first-win":
            rows.settle(lambda images, owners: self._confirm(images, owners, steps))
            rows.notice(torch.ones_like(rows.noticed))
            rows.settle(lambda images, owners: self._confirm(images, owners, steps))
        rows.results[rows.numbers] = rows.images

    def _gradient(self, loss: Loss, images: Tensor, owners: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss's gradient, shape (M, C, H, W), and which rows the search form takes for won, shape (M,)."""
        gradients, fooled = [], []
        self._draws.renew()
        for part, owned in zip(torch.split(images, self._rows), torch.split(owners, self._rows), strict=True):
            self._draws.again()
            target, labels = self._target.select(owned), self._labels[owned]
            inputs = part.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(_checked(loss(target, inputs, labels), len(part)).sum(), inputs)
            gradients.append(gradient)
            fooled.append(target.fooled(labels))
        return torch.cat(gradients), torch.cat(fooled)


def _checked(loss: object, rows: int) -> Tensor:
    """Return what an attack gives as its loss, if one can climb it."""
    if not isinstance(loss, torch.Tensor) or loss.shape != (rows,):
        shape = tuple(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
        message = f"the loss to ascend is {shape}"
        raise PluginError(message, f"it must be a tensor with one number for each row, here of shape ({rows},)")
    if not loss.requires_grad:
        message = "the loss to ascend has no gradient"
        raise PluginError(message, "it must depend on the images, through a defense that lets gradients pass")
    return loss


class _Rows:
    """Rows under attack. Those that have won leave; ``numbers`` says which are left.

    Attributes:
        images: Present iterates, shape (M, C, H, W).
        originals: Centres of the balls, shape (M, C, H, W).
        owners: Numbers of the images they belong to, shape (M,).
        numbers: Which of all R rows they are, shape (M,).
        noticed: Which have an iterate that the search form takes for a win, shape (M,).
        results: What counts of all rows, shape (R, C, H, W).
        won: Which of all rows have a confirmed win, shape (R,).
    """

    def __init__(self, originals: Tensor, owners: Tensor, radius: Tensor, step: Tensor) -> None:
        self.images, self.originals, self.owners = originals.clone(), originals, owners
        # Worked out in float64, as a library works out its step, and only then rounded.
        self._radius, self._step = _per_pixel(radius), _per_pixel(step)
        self.numbers = torch.arange(len(owners), device=owners.device)
        self.noticed = torch.zeros(len(owners), dtype=torch.bool, device=owners.device)
        self._winners: Tensor | None = None
        self.results = originals.clone()
        self.won = self.noticed.clone()
        self._left = self.numbers

    def move(self, gradient: Tensor) -> None:
        """Take one step and go back into the ball and into [0, 1]."""
        images = gradient.sign_().mul_(self._step).add_(self.images)
        images.sub_(self.originals).clamp_(-self._radius, self._radius).add_(self.originals).clamp_(0, 1)
        self.images = images

    def notice(self, fooled: Tensor) -> None:
        """Remember the first iterate of each row that the search form takes for a win."""
        if self._winners is None:
            self._winners = self.images.clone()
        new = fooled & ~self.noticed
        self._winners = torch.where(new.view(-1, 1, 1, 1), self.images, self._winners)
        self.noticed = self.noticed | fooled

    def settle(self, confirm: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Have what was noticed confirmed; rows whose win holds leave, the others go on."""
        (where,) = self.noticed.nonzero(as_tuple=True)
        self._left = torch.arange(len(self.numbers), device=self.numbers.device)
        if self._winners is None or len(where) == 0:
            return
        holds = confirm(self._winners[where], self.owners[where])
        winners = where[holds]
        self.results[self.numbers[winners]] = self._winners[winners]
        self.won[self.numbers[winners]] = True
        self.noticed = torch.zeros_like(self.noticed)
        if len(winners) == 0:
            return
        stays = torch.ones_like(self.noticed)
        stays[winners] = False
        (self._left,) = stays.nonzero(as_tuple=True)
        for name in ("images", "originals", "owners", "numbers", "noticed", "_winners", "_radius", "_step"):
            setattr(self, name, self.match(getattr(self, name)))

    def match(self, values: Tensor) -> Tensor:
        """Return the values, one per row before the last settlement, of the rows that are left."""
        return values if len(self._left) == len(values) else values[self._left]


def _per_pixel(values: Tensor) -> Tensor:
    """Return one float32 value per row in a shape that broadcasts over its pixels, (R, 1, 1, 1)."""
    return values.float().view(-1, 1, 1, 1)
