"""Images with labels, as a data set plugin supplies them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SplitName = Literal["train", "validation", "test"]
"""``train`` fits weights, ``validation`` fits thresholds, ``test`` is attacked. They must be disjoint."""

SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)
"""All of them."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """One part of a data set.

    Attributes:
        images: Shape (N, C, H, W), float32, in [0, 1].
        labels: Shape (N,), int64, in [0, K).
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)
