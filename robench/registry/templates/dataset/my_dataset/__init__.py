"""my-dataset: bright stripes at ten places of a noisy image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api import DatasetSpec, Split, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from robench.api import DataContext, SplitName

ROBENCH_API = 1  # the major version of robench.api that this is written for

SHAPE = (1, 28, 28)
CLASSES = tuple(f"stripe {number}" for number in range(10))
SIZES: dict[SplitName, int] = {"train": 2000, "validation": 500, "test": 500}
SEEDS: dict[SplitName, int] = {"train": 1, "validation": 2, "test": 3}


def load(split: SplitName, context: DataContext) -> Split:
    """Return one split, the same at every call; no image may be in two of them.

    Yours will rather read files, from ``context.data_dir`` if that is given, else from ``context.cache_dir``, where it
    may put what it downloads unless ``context.offline``. Raise ``DataError`` for what is missing or altered. numpy is
    imported here, not above: listing plugins must be quick.
    """
    import numpy as np

    generator = np.random.default_rng(SEEDS[split])
    labels = generator.integers(0, len(CLASSES), SIZES[split])
    images = generator.uniform(0, 0.5, (SIZES[split], *SHAPE)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        image[:, :, 2 * label + 4 : 2 * label + 6] += 0.5
    return Split(images=images, labels=labels.astype(np.int64))


@hookimpl
def robench_datasets() -> Iterable[DatasetSpec]:
    """Called once, when robench starts."""
    return [
        DatasetSpec(
            name="my-dataset",
            summary="stripes at ten places",
            source="made up",  # where it was published, with its licence
            shape=SHAPE,
            classes=CLASSES,
            sizes=SIZES,
            load=load,
        )
    ]
