"""Rules that a data set must keep."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from robench.api import SPLIT_NAMES, DataError, PluginError
from robench.testing.checks.check import checks
from robench.testing.checks.common import is_offered

if TYPE_CHECKING:
    from robench.api import Split
    from robench.testing.benches.dataset import DatasetBench

_MOST_SHARED = 0.001
"""Share of a split that may be in another one too: published data sets have a few duplicates, which are theirs."""


def loads_as_declared(bench: DatasetBench) -> None:
    """Every split has the declared size, float32 images of the declared shape in [0, 1], int64 labels in [0, K)."""
    bench.load()


def keeps_its_splits_apart(bench: DatasetBench) -> None:
    """No image of one split is in another, but for the few duplicates of published data sets."""
    splits = {name: getattr(bench.splits, name) for name in SPLIT_NAMES}
    rows = {name: _digests(split) for name, split in splits.items()}
    for one, other in combinations(SPLIT_NAMES, 2):
        shared = len(rows[one] & rows[other])
        fewer = min(len(splits[one]), len(splits[other]))
        if shared > _MOST_SHARED * fewer:
            message = f"{shared:,} images are in both {one} and {other}"
            raise PluginError(message, "what fits weights or thresholds must not be attacked: make the splits disjoint")


def loads_the_same_again(bench: DatasetBench) -> None:
    """Loaded twice, every split has the same images and labels in the same order."""
    from robench.testing.guards import disturb

    first = bench.splits
    disturb(1)
    second = bench.load()
    for name in SPLIT_NAMES:
        if getattr(first, name).digest != getattr(second, name).digest:
            message = f"loaded again, the split {name} is another one"
            raise PluginError(message, "draw and shuffle with a generator of a fixed seed")


def minds_offline(bench: DatasetBench) -> None:
    """Offline it does not ask the network; where its files are missing, it raises DataError."""
    from robench.testing.guards import watched

    empty = bench.folder / "no-files"
    empty.mkdir(exist_ok=True)
    for data_dir in (None, empty):
        with watched() as watch:
            try:
                bench.spec.load("test", bench.context(cache="empty-cache", data_dir=data_dir))
            except DataError:
                pass
            except Exception as error:
                if watch.connected:
                    break
                message = f"without its files it raises {type(error).__name__}: {error}"
                raise PluginError(message, "raise DataError, saying where the files may be put") from error
        if watch.connected:
            break
    if watch.connected:
        message = f"offline, it asked the network: {watch.connected[0]}"
        raise PluginError(message, "raise DataError where DataContext.offline is set and files are missing")


def writes_to_the_cache_only(bench: DatasetBench) -> None:
    """It writes nothing but below DataContext.cache_dir."""
    from robench.testing.guards import watched

    _ = bench.splits
    cache = bench.context().cache_dir.absolute()
    with watched() as watch:
        bench.spec.load("test", bench.context())
    # Whoever makes a folder with its parents asks for those that are there, too.
    strange = [path for path in watch.written if path not in cache.parents and not path.is_relative_to(cache)]
    if strange:
        message = f"it wrote to {strange[0]}"
        raise PluginError(message, "keep files below DataContext.cache_dir")


def leaves_global_state_alone(bench: DatasetBench) -> None:
    """Loading changes no random generator and no setting of the process."""
    from robench.testing.guards import untouched

    _ = bench.splits
    with untouched("it"):
        bench.spec.load("test", bench.context())


def prints_nothing(bench: DatasetBench) -> None:
    """Loading prints nothing on stdout."""
    from robench.testing.guards import silent

    _ = bench.splits
    with silent("it"):
        bench.spec.load("test", bench.context())


DATASET_CHECKS = checks(
    is_offered,
    loads_as_declared,
    keeps_its_splits_apart,
    loads_the_same_again,
    minds_offline,
    writes_to_the_cache_only,
    leaves_global_state_alone,
    prints_nothing,
)


def _digests(split: Split) -> set[bytes]:
    import hashlib

    return {hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in split.images}
