"""The examples of the first images, kept while a run is filled, where a diagnosis would make them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.engine.diagnostics.probe import Slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

KEPT = 10
"""Images of a run of which examples are kept in memory."""


class FirstExamples:
    """Examples that count, of the first images of a run. What is missing can be made again."""

    def __init__(self) -> None:
        self._examples: dict[tuple[str, str], dict[Slot, Tensor]] = {}

    def keep(self, defense: str, ensemble: str, positions: Sequence[int], examples: Mapping[str, Tensor]) -> None:
        """Keep examples of the first images, by epsilon, each of shape (N, C, H, W)."""
        kept = self._examples.setdefault((defense, ensemble), {})
        for epsilon, images in examples.items():
            for position, image in zip(positions, images, strict=True):
                if position < KEPT:
                    kept[Slot(position=position, epsilon=epsilon)] = image.cpu()

    def of(self, defense: str, ensemble: str) -> Mapping[Slot, Tensor]:
        """Return those of an ensemble of attacks on a defense, each of shape (C, H, W), on the CPU."""
        return self._examples.get((defense, ensemble), {})
