"""A defense and a few images on which the search of an attack is looked at again."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from robench.api.records import Outcome
from robench.engine.balls import BALLS
from robench.engine.batch import CONFIRMING_DRAWS
from robench.engine.memory import in_portions
from robench.engine.runner import Runner
from robench.engine.seeding import ImageStreams, image_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from robench.api import Norm, References
    from robench.api.records import ImageOutcome
    from robench.engine.ascent import Observe
    from robench.engine.data import LoadedSplit
    from robench.engine.plan import Assault
    from robench.engine.prepare import Prepared

_PURPOSE = "diagnose"
"""Decides the draws. All tries share them, so that the difference of two is not a difference of luck."""


@dataclass(frozen=True, kw_only=True, order=True)
class Slot:
    """An image in the ball around it.

    Attributes:
        position: Place of the image in the run's order.
        epsilon: Decimal text; ``0`` for the image as it is.
    """

    position: int
    epsilon: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Tried:
    """What came of trying something on some slots.

    Attributes:
        slots: Which, M of them.
        examples: What was tried, shape (M, C, H, W), float32, in [0, 1], on the device.
        outcomes: How the defense answers them, a stochastic one on most draws.
    """

    slots: tuple[Slot, ...]
    examples: Tensor
    outcomes: tuple[ImageOutcome, ...]

    @cached_property
    def won(self) -> frozenset[Slot]:
        """The slots that the defense answers wrongly and accepts."""
        pairs = zip(self.slots, self.outcomes, strict=True)
        return frozenset(slot for slot, outcome in pairs if outcome.outcome is Outcome.WRONG)

    @property
    def lost(self) -> tuple[Slot, ...]:
        """The slots that stand, in their order."""
        return tuple(slot for slot in self.slots if slot not in self.won)

    @property
    def wins(self) -> Tried:
        """The same for the slots that were won."""
        rows = [row for row, slot in enumerate(self.slots) if slot in self.won]
        return Tried(
            slots=tuple(self.slots[row] for row in rows),
            examples=self.examples[rows],
            outcomes=tuple(self.outcomes[row] for row in rows),
        )

    def by_epsilon(self) -> dict[str, list[ImageOutcome]]:
        """Return the outcomes by epsilon."""
        found: dict[str, list[ImageOutcome]] = {}
        for slot, outcome in zip(self.slots, self.outcomes, strict=True):
            found.setdefault(slot.epsilon, []).append(outcome)
        return found


class Probe:
    """Tries attacks on some images of a run.

    Args:
        split: The test split.
        references: What attacks get to start from.
        prepared: The defense.
        positions: Which images.
        seed: Of the run.
        device: Where attacks run.
        rows: How many images go through the defense together.
        norm: Of the balls.

    Attributes:
        norm, ball: Of the balls, and what it means.
        diameter: Epsilon at which every image can be turned into any other, decimal text.
        radius_to_grey: Epsilon at which every image can be turned grey, decimal text.
    """

    def __init__(
        self,
        split: LoadedSplit,
        references: References,
        prepared: Prepared,
        positions: Sequence[int],
        *,
        seed: int,
        device: torch.device,
        rows: int,
        norm: Norm = "linf",
    ) -> None:
        self.prepared, self.positions, self.norm = prepared, tuple(positions), norm
        self.device, self.rows = device, rows
        self.ball = BALLS[norm]
        widest = self.ball.diameter(math.prod(split.images.shape[1:]))
        self.diameter, self.radius_to_grey = f"{widest:.6g}", f"{widest / 2:.6g}"
        self._split, self._references, self._seed = split, references, seed
        self._order = image_order(seed, len(split))

    def slots(self, *epsilons: str) -> tuple[Slot, ...]:
        """Return all images at each of these epsilons."""
        return tuple(Slot(position=position, epsilon=epsilon) for epsilon in epsilons for position in self.positions)

    def images(self, slots: Sequence[Slot]) -> tuple[Tensor, Tensor]:
        """Return the originals, shape (M, C, H, W), and their labels, shape (M,), on the device."""
        indices = self._indices(slots)
        images, labels = (torch.from_numpy(values[indices]) for values in (self._split.images, self._split.labels))
        return images.to(self.device), labels.to(self.device)

    def radius(self, slots: Sequence[Slot]) -> Tensor:
        """Return the radii of the slots, shape (M, 1, 1, 1), float32."""
        return torch.tensor([float(slot.epsilon) for slot in slots], device=self.device).view(-1, 1, 1, 1)

    def streams(self, slots: Sequence[Slot], purpose: str) -> ImageStreams:
        """Return random streams for the images of some slots, the same at each call."""
        return ImageStreams(self._indices(slots).tolist(), self.device, _PURPOSE, self._seed, purpose)

    def in_parts(self, work: Callable[[slice], Tensor], count: int) -> Tensor:
        """Do work on so many rows, at least one, batch by batch of what fits, and join what comes of them."""
        found: list[Tensor] = []
        for first in range(0, count, self.rows):
            size = min(self.rows, count - first)

            def portion(part: slice, rows: int, first: int = first) -> Tensor:  # noqa: ARG001 (a part is one row each)
                return work(slice(first + part.start, first + part.stop))

            found += in_portions(portion, size, size, self.device)
        return torch.cat(found)

    def runner(self, observe: Observe | None = None) -> Runner:
        """Return what attacks and judges, and tells of its steps."""
        return Runner(
            self._split,
            self._references,
            seed=self._seed,
            device=self.device,
            rows=self.rows,
            norm=self.norm,
            observe=observe,
        )

    def attack(
        self,
        assault: Assault,
        slots: Sequence[Slot],
        *,
        prepared: Prepared | None = None,
        observe: Observe | None = None,
    ) -> Tried:
        """Attack some slots.

        Args:
            assault: The attack.
            slots: Which.
            prepared: Another form of the defense.
            observe: Told of each step, see ``GradientAscent``. It knows slots by their places here.

        Raises:
            PluginError: If the attack breaks the rules.
        """
        if not slots:
            return self.judge(slots, torch.zeros(0, *self._split.images.shape[1:], device=self.device))
        found = self.runner(observe).attack(
            prepared or self.prepared,
            assault,
            [slot.position for slot in slots],
            [(slot.epsilon,) for slot in slots],
        )
        tried = self.judge(slots, found.examples[:, 0], prepared=prepared)
        watched = zip(tried.outcomes, found.outcomes, strict=True)
        return replace(tried, outcomes=tuple(replace(one, search_won=own[0].search_won) for one, own in watched))

    def judge(
        self, slots: Sequence[Slot], examples: Tensor, *, prepared: Prepared | None = None, purpose: str = _PURPOSE
    ) -> Tried:
        """Put examples, shape (M, C, H, W), one for each slot, to the defense; another purpose draws afresh."""
        positions = [slot.position for slot in slots]
        outcomes = (
            self.runner().judge(
                prepared or self.prepared, purpose, positions, examples[:, None], draws=CONFIRMING_DRAWS
            )
            if slots
            else ()
        )
        return Tried(slots=tuple(slots), examples=examples, outcomes=outcomes)

    def clean(self) -> Tried:
        """Put the images to the defense as they are."""
        slots = self.slots("0")
        return self.judge(slots, self.images(slots)[0])

    def _indices(self, slots: Sequence[Slot]) -> NDArray[np.int64]:
        return self._order[[slot.position for slot in slots]]
