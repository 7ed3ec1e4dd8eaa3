"""Wins that a search has passed by: noted while a run is filled, where they cost nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from robench.engine.diagnostics.probe import Slot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

_IMAGES = 100
"""Images of a run that are watched: so many show a silent success that befalls one in thirty."""


class Sightings:
    """Listens to an attack of which the last iterate counts, see ``observe`` of ``GradientAscent``.

    Attributes:
        seen: The slots that were watched.
        hit: Those of them that the search form took for won at some iterate.
    """

    def __init__(self) -> None:
        self.seen: set[Slot] = set()
        self._batches: list[tuple[tuple[Slot, ...], Tensor]] = []

    def begin(self, positions: Sequence[int], epsilons: Sequence[str]) -> None:
        """Say which images are attacked next, each at all of these epsilons."""
        slots = tuple(Slot(position=position, epsilon=epsilon) for position in positions for epsilon in epsilons)
        self.seen.update(slot for slot in slots if slot.position < _IMAGES)
        self._batches.append((slots, torch.zeros(0)))

    def __call__(self, step: int, slots: Tensor, values: Tensor, hits: Tensor) -> None:  # noqa: ARG002
        """Take note of one step."""
        present, known = self._batches[-1]
        if not len(known):
            known = torch.zeros(len(present), dtype=torch.int8, device=slots.device)
        # Stays on the device: to wait for it at each step would slow the attack.
        self._batches[-1] = present, known.scatter_reduce(0, slots, hits.to(torch.int8), "amax")

    @property
    def hit(self) -> frozenset[Slot]:
        """Slots that were watched and taken for won."""
        return frozenset(self._hits()) & self.seen

    def _hits(self) -> Iterator[Slot]:
        for slots, hits in self._batches:
            yield from (slots[number] for number in hits.nonzero().flatten().tolist())
