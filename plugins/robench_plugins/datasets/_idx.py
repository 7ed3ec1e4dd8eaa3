"""Data sets that are published as gzipped IDX files: MNIST and those that took over its format."""

from __future__ import annotations

import gzip
import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np

from robench.api import DataError, MissingDataError
from robench_plugins.datasets._published import OWN_COPY
from robench_plugins.datasets._splits import cut
from robench_plugins.datasets._verify import opened, present

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from robench.api import DataContext, Split, SplitName
    from robench_plugins.datasets._published import IdxDataset, IdxFile

GZIP_MAGIC = b"\x1f\x8b"


def load(split: SplitName, dataset: IdxDataset, context: DataContext, *, installed: Path) -> Split:
    """Load one split from the two files that hold it.

    The user's folder is the only place when it is given. Otherwise these are tried: ``installed``, the cache, and the
    mirrors.

    Args:
        split: Which split.
        dataset: Its files.
        context: Where to look; ``cache_dir / dataset.name`` keeps downloads.
        installed: Folder of a copy that came with robench or with the system; need not exist.

    Returns:
        Images, shape (N, 1, H, W), float32, in [0, 1]; labels, shape (N,), int64.

    Raises:
        DataError: If a file is missing or unreadable, cannot be downloaded, or is not what was published.
    """
    pair = dataset.test if split == "test" else dataset.train
    images, labels = (_obtain(file, dataset.name, context, installed) for file in (pair.images, pair.labels))
    return cut(split, images[:, np.newaxis], labels, validation=dataset.validation)


def read(path: Path, file: IdxFile) -> NDArray[np.uint8]:
    """Read an IDX file, compressed or not, and check that it is the published one.

    Args:
        path: The file.
        file: What it must be.

    Returns:
        Shape ``file.shape``, uint8, read-only.

    Raises:
        DataError: If it is unreadable, cut short, or differs from the published file in any byte.

    Source: Y. LeCun, "The MNIST database", section "File formats for the MNIST database". A header of two zero bytes,
        type code 8 for unsigned bytes, the number of dimensions and their sizes as big-endian int32 comes first.
    """
    header = 4 + 4 * len(file.shape)
    size = header + math.prod(file.shape)
    with opened(path) as raw:
        compressed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if compressed else raw
        # One byte more than there should be: enough to see that a file is too long, and to reach gzip's own checksum.
        content = stream.read(size + 1)
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        found = f"{len(content):,}" if len(content) <= size else "more"
        message = f"{path} is not the published file: its content must have {size:,} bytes and has {found}"
        if len(content) == size:
            message = f"{path} was altered: its content has SHA-256 {digest} instead of {file.sha256}"
        raise DataError(message, "replace it by a fresh copy")
    return np.frombuffer(content, np.uint8, offset=header).reshape(file.shape)


def _obtain(file: IdxFile, name: str, context: DataContext, installed: Path) -> NDArray[np.uint8]:
    if context.data_dir is not None:
        return read(_supplied(file, name, context.data_dir), file)
    cache = context.cache_dir / name
    for folder in (installed, cache):
        path = _find(file, folder)
        if path is None:
            continue
        try:
            return read(path, file)
        except DataError as error:
            if file.remote is None:
                raise
            context.report(f"{error.message}; not using it")
    if file.remote is None:
        message = f"{installed / file.name}.gz is missing"
        hint = f"install robench again, or give a folder that has this file with {OWN_COPY}"
        raise DataError(message, hint)
    from robench_plugins.datasets._download import fetch

    return read(fetch(file.remote, cache, offline=context.offline, report=context.report), file)


def _supplied(file: IdxFile, name: str, data_dir: Path) -> Path:
    # The data set's own folder comes first: MNIST's files, which have the same names, may lie beside it.
    for folder in (data_dir / name, data_dir):
        path = _find(file, folder)
        if path is not None:
            return path
    message = f"neither {data_dir / name / file.name}.gz nor {data_dir / file.name}.gz exists"
    hint = f"put the four files of {name} there, compressed or not, or give another folder with {OWN_COPY}"
    raise MissingDataError(message, hint)


def _find(file: IdxFile, folder: Path) -> Path | None:
    paths = (folder / f"{file.name}.gz", folder / file.name)
    return next((path for path in paths if present(path)), None)
