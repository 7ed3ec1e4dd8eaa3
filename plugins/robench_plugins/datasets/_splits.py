"""The rule by which every built-in data set is split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from robench.api import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from robench.api import SplitName

WHITE = np.float32(255)


def cut(split: SplitName, images: NDArray[np.uint8], labels: NDArray[np.uint8], *, validation: int) -> Split:
    """Take one split out of the published part that holds it.

    Args:
        split: Which one. The validation split are the first training images, the train split all others.
        images: Shape (N, C, H, W), uint8: the published test images for ``test``; otherwise the published training
            images, of which ``validation`` needs no more than the first.
        labels: Shape (N,), uint8.
        validation: Number of images of the validation split.

    Returns:
        Images divided by 255, float32, in [0, 1], C-contiguous; labels as int64.
    """
    rows = {"train": slice(validation, None), "validation": slice(validation), "test": slice(None)}[split]
    pixels = images[rows].astype(np.float32, order="C")
    pixels /= WHITE
    return Split(images=pixels, labels=labels[rows].astype(np.int64))
