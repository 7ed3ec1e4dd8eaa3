"""MNIST: handwritten digits. The files ship with robench."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robench.api import DatasetSpec, hookimpl
from robench_plugins.datasets._published import IdxDataset, IdxFile, IdxPair

if TYPE_CHECKING:
    from collections.abc import Iterable

    from robench.api import DataContext, Split, SplitName

ROBENCH_API = 1

SHIPPED = Path(__file__).parent / "mnist_files"

MNIST = IdxDataset(
    name="mnist",
    train=IdxPair(
        images=IdxFile(
            name="train-images-idx3-ubyte",
            shape=(60_000, 28, 28),
            sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        labels=IdxFile(
            name="train-labels-idx1-ubyte",
            shape=(60_000,),
            sha256="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
    ),
    test=IdxPair(
        images=IdxFile(
            name="t10k-images-idx3-ubyte",
            shape=(10_000, 28, 28),
            sha256="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        labels=IdxFile(
            name="t10k-labels-idx1-ubyte",
            shape=(10_000,),
            sha256="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
)


def load(split: SplitName, context: DataContext) -> Split:
    """Load a split of MNIST from the user's folder if one is given, otherwise from the files that ship with robench.

    Returns:
        Images, shape (N, 1, 28, 28), float32, in [0, 1]; labels, shape (N,), int64, in [0, 10).

    Raises:
        DataError: If a file is missing, unreadable, or differs from the published one.

    Source: LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 86(11), 1998.
    """
    from robench_plugins.datasets import _idx

    return _idx.load(split, MNIST, context, installed=SHIPPED)


@hookimpl
def robench_datasets() -> Iterable[DatasetSpec]:
    """Offer MNIST."""
    return [
        DatasetSpec(
            name=MNIST.name,
            summary="handwritten digits, 28 x 28 pixels, grey; ships with robench",
            source="LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/; CC BY-SA 3.0",
            shape=(1, 28, 28),
            classes=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
            sizes={"train": 54_000, "validation": 6_000, "test": 10_000},
            load=load,
        )
    ]
