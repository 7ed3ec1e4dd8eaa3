from __future__ import annotations

import gzip
import hashlib
import os
import struct
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from robench.api import DataContext, DataError, SplitName
from robench_plugins.datasets._idx import load, read
from robench_plugins.datasets._published import IdxDataset, IdxFile, IdxPair, RemoteFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

VALIDATION = 4
RANDOM = np.random.default_rng(0)
ARRAYS: dict[str, NDArray[np.uint8]] = {
    "train-images": RANDOM.integers(0, 256, (10, 5, 6), np.uint8),
    "train-labels": RANDOM.integers(0, 10, 10, np.uint8),
    "test-images": RANDOM.integers(0, 256, (3, 5, 6), np.uint8),
    "test-labels": RANDOM.integers(0, 10, 3, np.uint8),
}


def encode(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


CONTENTS = {name: encode(array) for name, array in ARRAYS.items()}


def describe(name: str) -> IdxFile:
    archive = gzip.compress(CONTENTS[name])
    return IdxFile(
        name=name,
        shape=ARRAYS[name].shape,
        sha256=hashlib.sha256(CONTENTS[name]).hexdigest(),
        remote=RemoteFile(
            name=f"{name}.gz",
            sha256=hashlib.sha256(archive).hexdigest(),
            size=len(archive),
            urls=(f"https://example.org/{name}.gz",),
        ),
    )


FILES = {name: describe(name) for name in CONTENTS}
DATASET = IdxDataset(
    name="tiny",
    train=IdxPair(images=FILES["train-images"], labels=FILES["train-labels"]),
    test=IdxPair(images=FILES["test-images"], labels=FILES["test-labels"]),
    validation=VALIDATION,
)


def put(folder: Path, *, compressed: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENTS.items():
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


@contextmanager
def unprivileged() -> Iterator[None]:
    """Permissions hold for others than root only."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("name", ["tiny", ""], ids=["named folder", "folder itself"])
@pytest.mark.parametrize("compressed", [True, False])
def test_user_folder_may_hold_a_named_folder_or_files_compressed_or_not(
    context: DataContext, tmp_path: Path, name: str, compressed: bool
) -> None:
    put(tmp_path / "mine" / name, compressed=compressed)
    split = load("test", DATASET, replace(context, data_dir=tmp_path / "mine"), installed=tmp_path)
    np.testing.assert_array_equal(split.images[:, 0] * np.float32(255), ARRAYS["test-images"])
    np.testing.assert_array_equal(split.labels, ARRAYS["test-labels"])


def test_named_folder_comes_before_files_of_the_same_names_beside_it(context: DataContext, tmp_path: Path) -> None:
    put(tmp_path / "tiny")
    (tmp_path / "test-labels.gz").write_bytes(gzip.compress(b"labels of another data set"))
    assert len(load("test", DATASET, replace(context, data_dir=tmp_path), installed=tmp_path)) == 3


@pytest.mark.parametrize(
    ("split", "part", "rows"),
    [
        ("train", "train", slice(VALIDATION, None)),
        ("validation", "train", slice(VALIDATION)),
        ("test", "test", slice(None)),
    ],
)
def test_split_has_its_rows_as_float_images_and_int_labels(
    context: DataContext, tmp_path: Path, split: SplitName, part: str, rows: slice
) -> None:
    loaded = load(split, DATASET, context, installed=put(tmp_path / "installed"))
    expected = ARRAYS[f"{part}-images"][rows, np.newaxis].astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(loaded.images, expected)
    np.testing.assert_array_equal(loaded.labels, ARRAYS[f"{part}-labels"][rows])
    assert loaded.images.dtype == np.float32
    assert loaded.labels.dtype == np.int64
    assert loaded.images.flags.c_contiguous
    assert loaded.images.flags.writeable


def test_only_the_files_of_the_split_are_opened(context: DataContext, tmp_path: Path) -> None:
    folder = put(tmp_path / "mine")
    (folder / "train-images.gz").unlink()
    (folder / "train-labels.gz").write_bytes(b"broken")
    assert len(load("test", DATASET, replace(context, data_dir=folder), installed=tmp_path)) == 3


def test_content_counts_and_not_how_it_was_compressed(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(gzip.compress(CONTENTS["test-labels"], compresslevel=1, mtime=12345))
    np.testing.assert_array_equal(read(path, FILES["test-labels"]), ARRAYS["test-labels"])


IMAGES = CONTENTS["test-images"]
ALTERED = IMAGES[:-1] + bytes([IMAGES[-1] ^ 1])
WHOLE = gzip.compress(IMAGES)


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (gzip.compress(ALTERED), "was altered: its content has SHA-256"),
        (ALTERED, "was altered: its content has SHA-256"),
        (gzip.compress(IMAGES + bytes(1000)), "must have 106 bytes and has more"),
        (gzip.compress(IMAGES[:-1]), "must have 106 bytes and has 105"),
        (b"", "must have 106 bytes and has 0"),
        (WHOLE[:-20], "is cut short or damaged"),
        (WHOLE[:-4], "is cut short or damaged"),
        (WHOLE[:-8] + bytes(4) + WHOLE[-4:], "is cut short or damaged"),
        (WHOLE[:12] + b"\xff" * 50, "is cut short or damaged"),
    ],
    ids=[
        "altered",
        "altered, not compressed",
        "longer",
        "shorter",
        "empty",
        "cut archive",
        "cut checksum",
        "wrong checksum",
        "broken archive",
    ],
)
def test_damaged_user_file_is_an_error_that_names_it(
    context: DataContext, tmp_path: Path, damaged: bytes, message: str
) -> None:
    folder = put(tmp_path / "mine")
    path = folder / "test-images.gz"
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=message) as caught:
        load("test", DATASET, replace(context, data_dir=folder), installed=put(tmp_path / "installed"))
    assert str(path) in caught.value.message
    assert caught.value.hint == "replace it by a fresh copy"


def test_missing_user_file_is_an_error_that_names_both_places(context: DataContext, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load("test", DATASET, replace(context, data_dir=tmp_path / "mine"), installed=put(tmp_path / "installed"))
    mine = tmp_path / "mine"
    assert caught.value.message == f"neither {mine}/tiny/test-images.gz nor {mine}/test-images.gz exists"
    assert "--data-dir or ROBENCH_DATA" in caught.value.hint


def test_folder_in_place_of_a_file_is_an_error(context: DataContext, tmp_path: Path) -> None:
    folder = put(tmp_path / "mine")
    (folder / "test-labels.gz").unlink()
    (folder / "test-labels.gz").mkdir()
    with pytest.raises(DataError, match=r"test-labels\.gz cannot be read: Is a directory"):
        load("test", DATASET, replace(context, data_dir=folder), installed=tmp_path)


def test_dangling_link_is_an_error(context: DataContext, tmp_path: Path) -> None:
    folder = put(tmp_path / "mine")
    (folder / "test-labels.gz").unlink()
    (folder / "test-labels.gz").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"test-labels\.gz cannot be read: No such file"):
        load("test", DATASET, replace(context, data_dir=folder), installed=tmp_path)


def test_unreadable_file_is_an_error(tmp_path: Path) -> None:
    path = put(tmp_path) / "test-labels.gz"
    path.chmod(0)
    with unprivileged(), pytest.raises(DataError, match="cannot be read: Permission denied"):
        read(path, FILES["test-labels"])


def test_locked_folder_is_an_error(context: DataContext, tmp_path: Path) -> None:
    folder = put(tmp_path / "mine")
    folder.chmod(0)
    context = replace(context, data_dir=folder)
    with unprivileged(), pytest.raises(DataError, match="cannot be read: Permission denied"):
        load("test", DATASET, context, installed=tmp_path)
    folder.chmod(0o700)


def test_damaged_installed_copy_is_reported_and_the_cache_used(
    context: DataContext, tmp_path: Path, lines: list[str]
) -> None:
    installed = put(tmp_path / "installed")
    (installed / "test-images.gz").write_bytes(gzip.compress(ALTERED))
    put(tmp_path / "cache" / "tiny")
    assert len(load("test", DATASET, context, installed=installed)) == 3
    assert len(lines) == 1
    assert lines[0].startswith(f"{installed / 'test-images.gz'} was altered")
    assert lines[0].endswith("; not using it")


def test_files_that_are_nowhere_cannot_be_had_offline(context: DataContext, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load("test", DATASET, context, installed=tmp_path / "installed")
    assert caught.value.message == f"{tmp_path}/cache/tiny/test-images.gz is missing, and downloads are off"
    assert "https://example.org/test-images.gz" in caught.value.hint


def test_shipped_files_are_never_replaced_in_silence(context: DataContext, tmp_path: Path) -> None:
    shipped = replace(DATASET.test.images, remote=None)
    dataset = replace(DATASET, test=replace(DATASET.test, images=shipped))
    with pytest.raises(DataError, match=r"test-images\.gz is missing"):
        load("test", dataset, context, installed=tmp_path / "installed")
    put(tmp_path / "cache" / "tiny")
    folder = put(tmp_path / "installed")
    (folder / "test-images.gz").write_bytes(gzip.compress(ALTERED))
    with pytest.raises(DataError, match="was altered"):
        load("test", dataset, context, installed=folder)
