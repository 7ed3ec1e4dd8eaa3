"""What a search has seen of a batch in passing: wins that an earlier iterate had, whatever the last one has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from robench.engine.ascent import Observe


class Sightings:
    """Listens to the ascents of a batch, see ``observe`` of ``GradientAscent``.

    Args:
        count: How many slots the batch has.
        others: Listens too.
    """

    def __init__(self, count: int, others: Observe | None = None) -> None:
        self._count, self._others = count, others
        self._hits: Tensor | None = None

    def __call__(self, step: int, slots: Tensor, values: Tensor, hits: Tensor) -> None:
        """Take note of one step."""
        if self._hits is None:
            self._hits = torch.zeros(self._count, dtype=torch.int8, device=slots.device)
        # Stays on the device: to wait for it at each step would slow the attack.
        self._hits = self._hits.scatter_reduce(0, slots, hits.to(torch.int8), "amax")
        if self._others is not None:
            self._others(step, slots, values, hits)

    def read(self) -> list[bool | None]:
        """Say of each slot whether the search form took it for won at some iterate; None if nobody said."""
        if self._hits is None:
            return [None] * self._count
        return [bool(hit) for hit in self._hits.tolist()]
