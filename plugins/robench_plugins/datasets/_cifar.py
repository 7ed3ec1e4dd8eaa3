"""Data sets in the binary format of CIFAR-10."""

from __future__ import annotations

import hashlib
import math
import tarfile
from pathlib import PurePosixPath
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
    from robench_plugins.datasets._published import CifarDataset

FRESH_COPY = "replace it by a fresh copy"


def load(split: SplitName, dataset: CifarDataset, context: DataContext) -> Split:
    """Load one split from the files that hold it.

    Args:
        split: Which split.
        dataset: Its archive and files.
        context: Where to look; ``cache_dir / dataset.name`` keeps the archive.

    Returns:
        Images, shape (N, C, H, W), float32, in [0, 1]; labels, shape (N,), int64.

    Raises:
        DataError: If a file is missing or unreadable, cannot be downloaded, or is not in the format; if the archive
            is not the published one.
    """
    names = _names(split, dataset)
    if context.data_dir is None:
        from robench_plugins.datasets._download import fetch

        cache = context.cache_dir / dataset.name
        path = fetch(dataset.archive, cache, offline=context.offline, report=context.report)
    else:
        path = _supplied(dataset, names, context.data_dir)
    if path.name == dataset.archive.name:
        batches = read_archive(path, names, dataset)
    else:
        context.report(f"contents of {path} not verified against the official archive")
        batches = read_folder(path, names, dataset)
    labels = np.concatenate([batch[:, 0] for batch in batches])
    pixels = np.concatenate([batch[:, 1:] for batch in batches]).reshape(-1, *dataset.shape)
    return cut(split, pixels, labels, validation=dataset.validation)


def read_folder(folder: Path, names: tuple[str, ...], dataset: CifarDataset) -> list[NDArray[np.uint8]]:
    """Read unpacked files.

    Args:
        folder: Where they lie.
        names: Which ones, in the order to return.
        dataset: Their format.

    Returns:
        One array per file, shape (records, 1 + C * H * W), uint8: a label and its image in each row.

    Raises:
        DataError: If a file is missing, unreadable, of a wrong size, or has an impossible label.
    """
    batches = []
    for name in names:
        path = folder / name
        with opened(path) as file:
            content = file.read(_size(dataset) + 1)
        batches.append(_decode(content, str(path), dataset))
    return batches


def read_archive(path: Path, names: tuple[str, ...], dataset: CifarDataset) -> list[NDArray[np.uint8]]:
    """Read files from the tar archive, none of which is ever written to the disk.

    Args:
        path: The archive.
        names: Which files, in the order to return.
        dataset: Digest of the archive and format of the files.

    Returns:
        One array per file, shape (records, 1 + C * H * W), uint8: a label and its image in each row.

    Raises:
        DataError: If the archive is unreadable or not the published one, or if a file in it is missing, of a wrong
            size, or has an impossible label.
    """
    wanted = {f"{dataset.folder}/{name}": name for name in names}
    found: dict[str, NDArray[np.uint8]] = {}
    with opened(path) as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != dataset.archive.sha256:
            message = f"{path} is not the published archive: its SHA-256 is not {dataset.archive.sha256}"
            raise DataError(message, FRESH_COPY)
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r|gz") as archive:
            for member in archive:
                name = wanted.get(str(PurePosixPath(member.name)))
                if name is None:
                    continue
                where = f"{path}: {member.name}"
                # Before anything is read: a link would lead elsewhere, and the size bounds the memory.
                if not member.isreg() or member.size != _size(dataset):
                    raise _wrong_size(where, member.size, dataset)
                content = archive.extractfile(member)
                found[name] = _decode(content.read() if content else b"", where, dataset)
                if len(found) == len(names):
                    break
    missing = [name for name in names if name not in found]
    if missing:
        message = f"{path} lacks {dataset.folder}/{missing[0]}"
        raise DataError(message, FRESH_COPY)
    return [found[name] for name in names]


def _names(split: SplitName, dataset: CifarDataset) -> tuple[str, ...]:
    if split == "test":
        return dataset.test
    return dataset.train[: math.ceil(dataset.validation / dataset.records)] if split == "validation" else dataset.train


def _size(dataset: CifarDataset) -> int:
    return dataset.records * (1 + math.prod(dataset.shape))


def _decode(content: bytes, where: str, dataset: CifarDataset) -> NDArray[np.uint8]:
    if len(content) != _size(dataset):
        raise _wrong_size(where, len(content), dataset)
    batch = np.frombuffer(content, np.uint8).reshape(dataset.records, -1)
    highest = int(batch[:, 0].max())
    if highest >= dataset.classes:
        record = int(batch[:, 0].argmax())
        message = f"{where} has label {highest} in record {record}; labels go from 0 to {dataset.classes - 1}"
        raise DataError(message, FRESH_COPY)
    return batch


def _wrong_size(where: str, size: int, dataset: CifarDataset) -> DataError:
    # No file is read further than one byte beyond its due size.
    found = f"{size:,}" if size <= _size(dataset) else "more"
    message = f"{where} must have {_size(dataset):,} bytes ({dataset.records:,} records) and has {found}"
    return DataError(message, FRESH_COPY)


def _supplied(dataset: CifarDataset, names: tuple[str, ...], data_dir: Path) -> Path:
    for folder in (data_dir / dataset.name, data_dir):
        # The archive comes first because its contents can be verified.
        for path in (folder / dataset.archive.name, folder / dataset.folder):
            if present(path):
                return path
        if any(present(folder / name) for name in names):
            return folder
    message = f"neither {data_dir / dataset.archive.name} nor the folder {data_dir / dataset.folder} exists"
    hint = f"put {dataset.archive.urls[0]} there, or give another folder with {OWN_COPY}"
    raise MissingDataError(message, hint)
