"""CIFAR-10: small colour pictures of animals and vehicles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api import DatasetSpec, hookimpl
from robench_plugins.datasets._published import CifarDataset, RemoteFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from robench.api import DataContext, Split, SplitName

ROBENCH_API = 1

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

CIFAR10 = CifarDataset(
    name="cifar10",
    # The binary version: the one for Python holds pickles, which may run code when they are read.
    archive=RemoteFile(
        name="cifar-10-binary.tar.gz",
        size=170_052_171,
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    ),
    folder="cifar-10-batches-bin",
    train=("data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"),
    test=("test_batch.bin",),
    records=10_000,
    shape=(3, 32, 32),
    classes=len(CLASSES),
)


def load(split: SplitName, context: DataContext) -> Split:
    """Load a split of CIFAR-10 from the user's folder if one is given, otherwise from the cache or the web.

    The user's folder may hold the archive or the unpacked files. Unpacked files may be a re-encoded copy: their
    layout is checked, and a line says that their contents are not.

    Returns:
        Images, shape (N, 3, 32, 32), float32, in [0, 1]; labels, shape (N,), int64, in [0, 10).

    Raises:
        DataError: If a file is missing or unreadable, cannot be downloaded, or is not in the published format.

    Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009, chapter 3.
    """
    from robench_plugins.datasets import _cifar

    return _cifar.load(split, CIFAR10, context)


@hookimpl
def robench_datasets() -> Iterable[DatasetSpec]:
    """Offer CIFAR-10."""
    return [
        DatasetSpec(
            name=CIFAR10.name,
            summary="animals and vehicles, 32 x 32 pixels, colour; 170 MB to download",
            source="Krizhevsky, Learning multiple layers of features from tiny images, 2009; no licence stated",
            shape=CIFAR10.shape,
            classes=CLASSES,
            sizes={"train": 44_000, "validation": 6_000, "test": 10_000},
            load=load,
        )
    ]
