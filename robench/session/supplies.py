"""What a worker on another machine lacks: trained weights, and images with their digests."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filelock import FileLock

from robench.engine.digests import split_digest
from robench.engine.files import replacing
from robench.engine.weights import MANIFEST, WEIGHTS
from robench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from robench.api import SplitName
    from robench.engine.data import LoadedSplit, Splits


@dataclass(frozen=True, kw_only=True)
class Supplies:
    """Files of weights by their place in the cache, and the splits that attacks need.

    Attributes:
        weights: By folder below the cache, the bytes of its files by name.
        splits: Validation and test images.
    """

    weights: Mapping[str, Mapping[str, bytes]]
    splits: Mapping[SplitName, LoadedSplit]


def pack(root: Path, folders: Iterable[Path], splits: Splits) -> bytes:
    """Pack weights and images.

    Args:
        root: The folder of the cache.
        folders: Of the weights, below it.
        splits: The data set.
    """
    weights = {
        folder.relative_to(root).as_posix(): {name: (folder / name).read_bytes() for name in (WEIGHTS, MANIFEST)}
        for folder in folders
    }
    supplies = Supplies(weights=weights, splits={"validation": splits.validation, "test": splits.test})
    return pickle.dumps(supplies, protocol=pickle.HIGHEST_PROTOCOL)


def unpack(packed: bytes, root: Path) -> Mapping[SplitName, LoadedSplit]:
    """Put weights into the cache of this machine where there are none, and return the splits.

    The weights are held against their manifest when they are loaded, like any others.

    Args:
        packed: By ``pack``.
        root: The folder of the cache.

    Raises:
        DataError: If images were altered on their way.
    """
    supplies: Supplies = pickle.loads(packed)  # noqa: S301 (from the driver that started this worker)
    for split_name, split in supplies.splits.items():
        if split_digest(split) != split.digest:
            message = f"the {split_name} images were altered on their way to this machine"
            raise DataError(message, "start the run again")
    for place, files in supplies.weights.items():
        folder = root / place
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if not (folder / MANIFEST).exists():
                for name in (WEIGHTS, MANIFEST):  # the manifest makes the weights count
                    with replacing(folder / name) as temporary:
                        temporary.write_bytes(files[name])
    return supplies.splits
