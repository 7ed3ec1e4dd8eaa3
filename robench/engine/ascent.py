"""Gradient ascent on all epsilons of a batch at once; see ``robench.api.Ascent``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from robench.api import PluginError
from robench.engine.balls import BALLS
from robench.engine.deploy import BoundTarget, Choices, Memo
from robench.engine.seeding import SharedDraws
from robench.engine.trial import BatchTrial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from robench.api import Direction, Goal, ImageRandom, Keep, Loss, Norm
    from robench.engine.balls import Ball
    from robench.engine.deploy import Deployed
    from robench.engine.trial import Confirm

    Observe = Callable[[int, Tensor, Tensor, Tensor], None]

_STEPS_BETWEEN_LOOKS = {"cpu": 1, "cuda": 8}
"""How often won rows are looked for: on CUDA each look waits for the device."""

_MOST = 0.5
"""A start that wins on more than this share of the draws counts as won."""

_STEPS_BETWEEN_DRAWS = 5
"""The same for a stochastic defense, which is asked on several draws at each look."""

STEPS_BETWEEN_CHOICES = 3
"""How often a selecting defense is asked for its choice where it may be kept: what is chosen changes seldom."""


class GradientAscent:
    """Gradient steps in balls, for one batch: along the sign of the gradient in Linf, along the gradient in L2.

    A row is one slot (an image at one epsilon) from one start; rows are numbered in this order.

    Args:
        deployed: The search form of the defense.
        random: One stream per image.
        images: Shape (N, C, H, W), float32, in [0, 1].
        labels: Shape (N,), int64.
        epsilons: Shape (N, E), float64.
        rows: How many rows go through the defense together.
        keep: Which iterate counts where the attack does not say.
        confirm: What the real defense says of a win, see ``BatchTrial``.
        norm: Of the balls.
        goal: What a win is.
        observe: ``observe(step, slots, values, hits)`` is told of each step which slots are left, (M,), the objective
            there, (M,), if it is a number, and which the search form takes for won, (M,).

    Attributes:
        trial: What has been tried on the batch; asked for wins if they are kept.
        memo: What the search form has answered.
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
        norm: Norm = "linf",
        goal: Goal = "wrong",
        observe: Observe | None = None,
    ) -> None:
        self.trial, self.memo = BatchTrial(confirm, images, epsilons, norm), Memo()
        self._ball = BALLS[norm]
        self._draws = SharedDraws(random)
        self._target = BoundTarget(deployed, self._draws, labels, goal, self.memo)
        self._images, self._labels, self._epsilons = images, labels, epsilons
        self._rows, self._keep, self._observe = rows, keep, observe
        self._keeps_choices = deployed.keeps

    def __call__(
        self,
        objective: Loss | Direction,
        *,
        steps: int,
        relative_step: float | tuple[float, float],
        random_start: bool = False,
        start: Tensor | None = None,
        restarts: int = 1,
        samples: int = 1,
        given: Sequence[Tensor] = (),
        keep: Keep | None = None,
    ) -> Tensor:
        """Attack every image of the batch at each of its epsilons and return the results, shape (N, E, C, H, W)."""
        if not callable(objective):
            message = f"the objective to ascend is {objective!r}"
            raise PluginError(message, "it must be a function of target, images and labels")
        first_win = (keep or self._keep) == "first-win"
        self.trial.stage += 1
        slots = torch.arange(self._epsilons.numel(), device=self._images.device).repeat_interleave(restarts)
        if first_win:
            slots = slots[~self.trial.won[slots]]
        radius = self._epsilons.flatten()[slots]
        sizes = _schedule(relative_step, steps)
        # What is seen at a kept candidate is no win of the defense, and an average over draws is one over choices, too.
        keeps_choices = self._keeps_choices and not first_win and samples == 1
        climb = _Climb(objective, tuple(values.flatten(0, 1) for values in given), samples, keeps_choices)
        rows = _Rows(self._ball, self._images[self.trial.owners(slots)], slots, radius, sizes)
        if start is not None:
            rows.images = self.trial.project(start.detach().float().flatten(0, 1)[slots], slots)
        elif random_start:
            rows.images = self._start(restarts, rows)
        shared = start is None and not random_start and not given
        if len(slots):
            (self._keep_wins if first_win else self._keep_last)(rows, climb, steps, shared=shared)
        if first_win:
            return self._ends(rows)
        results = rows.images.view(self._epsilons.numel(), restarts, *self._images.shape[1:])
        chosen = results[:, 0]
        if restarts > 1:
            self.trial.challenge(rows.images, slots, steps)
            best = self.trial.best.flatten(0, 1)
            chosen = torch.where((self.trial.share > _MOST).view(-1, 1, 1, 1), best, chosen)
        return chosen.reshape(*self._epsilons.shape, *self._images.shape[1:])

    def _ends(self, rows: _Rows) -> Tensor:
        """Return what has won and, of the slots that stand, the last iterate of their first start."""
        ends = self.trial.best.flatten(0, 1)
        first = torch.ones_like(rows.slots, dtype=torch.bool)
        first[1:] = rows.slots[1:] != rows.slots[:-1]
        ends[rows.slots[first]] = rows.images[first]
        return ends.view(*self._epsilons.shape, *self._images.shape[1:])

    def _start(self, restarts: int, rows: _Rows) -> Tensor:
        """Draw a start for each row; the epsilons of an image share their draws, each scaled to its ball."""
        shape = self._images.shape[1:]
        draws = self._ball.draw(self._draws, (restarts, *shape) if restarts > 1 else shape)
        draws = draws.view(len(draws), restarts, *shape)
        turns = torch.arange(len(rows.slots), device=draws.device) % restarts  # the rows of a slot are neighbours
        return rows.within(draws[self.trial.owners(rows.slots), turns])

    def _keep_last(self, rows: _Rows, climb: _Climb, steps: int, *, shared: bool) -> None:
        for step in range(steps):
            rows.move(self._gradient(climb, rows, step, shared=shared and step == 0)[0], step)

    def _keep_wins(self, rows: _Rows, climb: _Climb, steps: int, *, shared: bool) -> None:
        """Climb; rows that have won leave. What the search form takes for a win is confirmed, and so is the end."""
        pause = _STEPS_BETWEEN_LOOKS[self._images.device.type]
        if self._target.stochastic:
            pause = max(pause, _STEPS_BETWEEN_DRAWS)
        for step in range(steps):
            gradient, hits = self._gradient(climb, rows, step, shared=shared and step == 0)
            rows.notice(hits)
            if (step + 1) % pause == 0:
                gradient = gradient[rows.settle(self.trial, step)]
                if len(rows.slots) == 0:
                    return
            rows.move(gradient, step)
        rows.settle(self.trial, steps)
        if len(rows.slots):
            self.trial.challenge(rows.images, rows.slots, steps + 1)

    def _gradient(self, climb: _Climb, rows: _Rows, step: int, *, shared: bool) -> tuple[Tensor, Tensor]:
        """Return where to go, shape (M, C, H, W), and which rows the search form takes for won, shape (M,).

        Args:
            climb: The objective.
            rows: Where from.
            step: Number of the step.
            shared: Whether all rows of an image are at the image itself, so that one gradient serves them all.
        """
        owners = self.trial.owners(rows.slots)
        self._draws.renew()
        looks = not climb.keeps_choices or step % STEPS_BETWEEN_CHOICES == 0
        if looks:
            rows.choices = None
        if not shared:
            found = self._ask(climb, rows.images, owners, rows.slots, rows.choices)
        else:
            each, place = torch.arange(len(self._images), device=owners.device), owners
            if len(owners) < self._epsilons.numel():  # who is left is asked only then: it waits for the device
                each, place = torch.unique(owners, return_inverse=True)
            found = self._ask(climb, self._images[each], each, each, None).of(place)
        rows.choices = found.choices
        if looks:
            rows.seen = found.values
        if self._observe is not None:
            self._observe(step, rows.slots, rows.seen, found.hits & looks)
        return found.gradients, found.hits

    def _ask(self, climb: _Climb, images: Tensor, owners: Tensor, slots: Tensor, kept: Tensor | None) -> _Found:
        parts: list[_Found] = []
        for number, (part, owned, numbers) in enumerate(
            zip(*(torch.split(item, self._rows) for item in (images, owners, slots)), strict=True)
        ):
            self._draws.again()
            target, labels, choices = self._target.select(owned), self._labels[owned], None
            if climb.keeps_choices:
                first = number * self._rows
                choices = Choices(rows=len(part), kept=None if kept is None else kept[first : first + len(part)])
                target = target.keeping(choices)
            gradient, values = torch.zeros_like(part), torch.zeros(len(part), device=part.device)
            seen = torch.zeros(len(part), device=part.device)
            for _ in range(climb.samples):
                self.memo.take()
                direction, value = climb.direction(target, part, labels, numbers)
                gradient, values = gradient + direction, values + value
                hits = self.memo.take()
                if hits is None or len(hits) != len(part):  # the objective did not ask the defense itself
                    with torch.no_grad():
                        target.verdict(part)
                    hits = self.memo.take()
                seen += 0 if hits is None else hits
            made = None if choices is None else choices.made
            parts.append(_Found(gradient, values / climb.samples, 2 * seen > climb.samples, made))
        made_of_all = [one.choices for one in parts if one.choices is not None]
        return _Found(
            gradients=torch.cat([one.gradients for one in parts]),
            values=torch.cat([one.values for one in parts]),
            hits=torch.cat([one.hits for one in parts]),
            choices=torch.cat(made_of_all) if len(made_of_all) == len(parts) else None,
        )


class _Found(NamedTuple):
    """What was found at some rows: where to go, (M, C, H, W); the rest of shape (M,).

    Attributes:
        gradients: Where to go.
        values: The objective, zero where it is no number.
        hits: Which rows the search form takes for won.
        choices: What was chosen, if choices are kept.
    """

    gradients: Tensor
    values: Tensor
    hits: Tensor
    choices: Tensor | None

    def of(self, rows: Tensor) -> _Found:
        """Return the same of some rows, in any order, each as often as wanted."""
        choices = None if self.choices is None else self.choices[rows]
        return _Found(self.gradients[rows], self.values[rows], self.hits[rows], choices)


class _Climb:
    """The objective of a call, with what it is told of each slot."""

    def __init__(
        self, objective: Loss | Direction, given: tuple[Tensor, ...], samples: int, keeps_choices: bool
    ) -> None:
        self._objective, self._given, self.samples, self.keeps_choices = objective, given, samples, keeps_choices

    def direction(self, target: BoundTarget, images: Tensor, labels: Tensor, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Return where to go, shape (M, C, H, W), and the objective, shape (M,), zero where it is no number."""
        inputs = images.detach().requires_grad_(True)
        answer: object = self._objective(target, inputs, labels, *(values[slots] for values in self._given))
        if isinstance(answer, torch.Tensor) and answer.shape == images.shape:
            return answer.detach().float(), torch.zeros(len(images), device=images.device)
        loss = _checked(answer, len(images))
        (gradient,) = torch.autograd.grad(loss.sum(), inputs)
        return gradient, loss.detach().float()


def _schedule(relative_step: float | tuple[float, float], steps: int) -> list[float]:
    """Return the size of each step in units of epsilon."""
    if isinstance(relative_step, tuple):
        first, last = relative_step
        return [first * (last / first) ** (step / max(1, steps - 1)) for step in range(steps)]
    return [relative_step] * steps


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
    """Rows under attack. Those whose slots have won leave.

    Attributes:
        images: Present iterates, shape (M, C, H, W).
        slots: Which slot each belongs to, shape (M,).
        choices: What a selecting defense has chosen for each, (M,), to keep to; None to have it choose. No row leaves
            while choices are kept.
        seen: The objective of the defense itself, (M,), when it was last asked for its choice.
    """

    def __init__(self, ball: Ball, originals: Tensor, slots: Tensor, radius: Tensor, sizes: list[float]) -> None:
        self.images, self.slots = originals.clone(), slots
        self._ball, self._originals, self._sizes = ball, originals, sizes
        self._epsilon, self._radius = radius, _per_pixel(radius)
        self.choices: Tensor | None = None
        self.seen = torch.zeros_like(radius)
        self._winners: Tensor | None = None
        self._noticed = torch.zeros(len(slots), dtype=torch.bool, device=slots.device)

    def within(self, directions: Tensor) -> Tensor:
        """Return the images that lie this far from the originals, in units of epsilon, clipped to [0, 1]."""
        return (self._originals + directions * self._radius).clamp_(0, 1)

    def move(self, gradient: Tensor, step: int) -> None:
        """Take one step and go back into the ball and into [0, 1]."""
        # The size is worked out in float64, as a library works it out, and only then rounded.
        size = _per_pixel(self._sizes[step] * self._epsilon)
        images = self._ball.along(gradient).mul_(size).add_(self.images)
        self.images = self._ball.project(images, self._originals, self._radius)

    def notice(self, hits: Tensor) -> None:
        """Remember the latest iterate of each row that the search form takes for a win."""
        if self._winners is None:
            self._winners = self.images.clone()
        self._winners = torch.where(hits.view(-1, 1, 1, 1), self.images, self._winners)
        self._noticed = self._noticed | hits

    def settle(self, trial: BatchTrial, step: int) -> Tensor:
        """Have what was noticed confirmed. Rows of slots that have won leave; returns which rows are left."""
        (where,) = self._noticed.nonzero(as_tuple=True)
        if self._winners is not None and len(where):
            trial.challenge(self._winners[where], self.slots[where], step)
        self._noticed = torch.zeros_like(self._noticed)
        (left,) = (~trial.won[self.slots]).nonzero(as_tuple=True)
        if len(left) < len(self.slots):
            for name in ("images", "slots", "_originals", "_epsilon", "_radius", "_noticed", "_winners"):
                values = getattr(self, name)
                setattr(self, name, None if values is None else values[left])
        return left


def _per_pixel(values: Tensor) -> Tensor:
    """Return one float32 value per row in a shape that broadcasts over its pixels, (R, 1, 1, 1)."""
    return values.float().view(-1, 1, 1, 1)
