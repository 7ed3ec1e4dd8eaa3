"""Whether the ascents of an attack had come to an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

WINDOW = 10
"""Last steps of an ascent that are looked at."""


class Climb:
    """Listens to the ascents of an attack, see ``observe`` of ``GradientAscent``, and keeps the best loss of each slot.

    Args:
        slots: Their number.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._ascents: list[list[Tensor]] = []

    def __call__(self, step: int, slots: Tensor, values: Tensor, hits: Tensor) -> None:  # noqa: ARG002
        """Take note of one step."""
        present = torch.full((self._slots,), -torch.inf, dtype=torch.float64)
        values = values.detach().double().cpu().nan_to_num(nan=-torch.inf)
        present.scatter_reduce_(0, slots.cpu(), values, "amax")
        if step == 0:
            self._ascents.append([present])
        else:
            self._ascents[-1].append(torch.maximum(self._ascents[-1][-1], present))

    def rise(self, standing: Sequence[int]) -> float | None:
        """Return how much the best loss still rose over the last steps, the largest of all ascents.

        It is the mean over slots, in units of what it was before those steps or, if that is more, of what it had risen
        until then: a margin near zero would otherwise seem to rise by a multiple.

        Args:
            standing: Which slots count.

        Returns:
            None if nothing stands, or no ascent that has more steps than the window raises a number.
        """
        rises = [_rise([best[standing] for best in ascent]) for ascent in self._ascents if len(standing)]
        return max((rise for rise in rises if rise is not None), default=None)


def _rise(ascent: list[Tensor]) -> float | None:
    if len(ascent) <= WINDOW:
        return None
    first, before, last = ascent[0], ascent[-1 - WINDOW], ascent[-1]
    seen = first.isfinite() & last.isfinite()  # a slot that had won before has no loss
    if not bool((last[seen] != 0).any()):  # directions are no numbers
        return None
    start, middle, end = (float(best[seen].mean()) for best in (first, before, last))
    unit = max(abs(middle), middle - start)
    return (end - middle) / unit if unit else float("inf")
