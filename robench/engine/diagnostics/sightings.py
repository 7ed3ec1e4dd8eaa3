"""Wins that a search has passed by: noted while a run is filled, where they cost nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from robench.engine.diagnostics.probe import Slot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

_IMAGES = 100
"""Images of a run that are watched: so many show a silent success that befalls one in thirty."""
_KEPT = 10
"""Images of a run of which examples are kept in memory."""


@dataclass(frozen=True)
class Witnessed:
    """What was seen in passing while a run was filled. A diagnosis does without what is missing, or makes it again.

    Attributes:
        sightings: Wins that naive attacks passed by, by defense and attack.
        examples: The examples that count of the first images, by defense and ensemble, each of shape (C, H, W).
    """

    sightings: dict[tuple[str, str], Sightings] = field(default_factory=dict)
    examples: dict[tuple[str, str], dict[Slot, Tensor]] = field(default_factory=dict)

    def keep(self, defense: str, ensemble: str, positions: Sequence[int], examples: Mapping[str, Tensor]) -> None:
        """Keep examples of the first images, by epsilon, each of shape (N, C, H, W)."""
        kept = self.examples.setdefault((defense, ensemble), {})
        for epsilon, images in examples.items():
            for position, image in zip(positions, images, strict=True):
                if position < _KEPT:
                    kept[Slot(position=position, epsilon=epsilon)] = image.cpu()


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
