"""A task that is learnt in a second: patterns of four times four fields, one for each class, under noise."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

from robench.api import DatasetSpec, Split

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from robench.api import DataContext, SplitName

SIZES: Mapping[SplitName, int] = {"train": 512, "validation": 300, "test": 300}
NOISE = 0.15
"""Largest deviation of a pixel from its pattern; patterns are 0.3 and 0.7."""

_FIELDS = 4


def made_up_task(shape: tuple[int, int, int], classes: int) -> DatasetSpec:
    """Describe the task.

    Args:
        shape: Channels, height and width of an image.
        classes: Number K of classes.
    """
    return DatasetSpec(
        name="made-up",
        summary="patterns of fields under noise",
        source="made up",
        shape=shape,
        classes=tuple(f"pattern {number}" for number in range(classes)),
        sizes=SIZES,
        load=partial(_load, shape=shape, classes=classes),
    )


def some_of(spec: DatasetSpec) -> DatasetSpec:
    """Return the same data set with the first few hundred images of each split."""
    sizes = {name: min(size, spec.sizes[name]) for name, size in SIZES.items()}

    def load(name: SplitName, context: DataContext) -> Split:
        whole = spec.load(name, context)
        return Split(images=whole.images[: sizes[name]], labels=whole.labels[: sizes[name]])

    return dataclasses.replace(spec, sizes=sizes, load=load)


def _load(name: SplitName, context: DataContext, *, shape: tuple[int, int, int], classes: int) -> Split:  # noqa: ARG001
    import numpy as np

    generator = np.random.default_rng([list(SIZES).index(name), *shape, classes])
    labels = np.arange(SIZES[name], dtype=np.int64) % classes
    noise = generator.uniform(-NOISE, NOISE, (SIZES[name], *shape))
    return Split(images=(_patterns(shape, classes)[labels] + noise).astype(np.float32), labels=labels)


def _patterns(shape: tuple[int, int, int], classes: int) -> NDArray[np.float64]:
    """Return the pattern of each class, shape (K, C, H, W): every field is dark or light."""
    import numpy as np

    channels, height, width = shape
    fields = np.random.default_rng([7, channels]).integers(0, 2, (classes, channels, _FIELDS, _FIELDS))
    rows, columns = (np.arange(size) * _FIELDS // size for size in (height, width))
    light = fields[:, :, rows][:, :, :, columns].astype(np.float64)
    return 0.3 + 0.4 * light
