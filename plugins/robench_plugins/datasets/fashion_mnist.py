"""Fashion-MNIST: pictures of clothes, in the format of MNIST."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robench.api import DatasetSpec, hookimpl
from robench_plugins.datasets._published import IdxDataset, IdxFile, IdxPair, RemoteFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from robench.api import DataContext, Split, SplitName

ROBENCH_API = 1

INSTALLED = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package ``dataset-fashion-mnist`` puts the files."""

MIRRORS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
)


def _remote(name: str, size: int, sha256: str) -> RemoteFile:
    return RemoteFile(name=name, size=size, sha256=sha256, urls=tuple(f"{mirror}/{name}" for mirror in MIRRORS))


FASHION_MNIST = IdxDataset(
    name="fashion-mnist",
    train=IdxPair(
        images=IdxFile(
            name="train-images-idx3-ubyte",
            shape=(60_000, 28, 28),
            sha256="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            remote=_remote(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
        ),
        labels=IdxFile(
            name="train-labels-idx1-ubyte",
            shape=(60_000,),
            sha256="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            remote=_remote(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
        ),
    ),
    test=IdxPair(
        images=IdxFile(
            name="t10k-images-idx3-ubyte",
            shape=(10_000, 28, 28),
            sha256="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            remote=_remote(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
        ),
        labels=IdxFile(
            name="t10k-labels-idx1-ubyte",
            shape=(10_000,),
            sha256="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            remote=_remote(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    ),
)


def load(split: SplitName, context: DataContext) -> Split:
    """Load a split of Fashion-MNIST.

    The files come from the user's folder if one is given; otherwise from the Debian package
    ``dataset-fashion-mnist``, the cache, or the mirrors, whichever has them first.

    Returns:
        Images, shape (N, 1, 28, 28), float32, in [0, 1]; labels, shape (N,), int64, in [0, 10).

    Raises:
        DataError: If a file is missing or unreadable, cannot be downloaded, or differs from the published one.

    Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
        algorithms", arXiv:1708.07747.
    """
    from robench_plugins.datasets import _idx

    return _idx.load(split, FASHION_MNIST, context, installed=INSTALLED)


@hookimpl
def robench_datasets() -> Iterable[DatasetSpec]:
    """Offer Fashion-MNIST."""
    return [
        DatasetSpec(
            name=FASHION_MNIST.name,
            summary="pictures of clothes, 28 x 28 pixels, grey; 31 MB to download",
            source="Xiao, Rasul and Vollgraf, arXiv:1708.07747; MIT licence",
            shape=(1, 28, 28),
            classes=(
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ),
            sizes={"train": 54_000, "validation": 6_000, "test": 10_000},
            load=load,
        )
    ]
