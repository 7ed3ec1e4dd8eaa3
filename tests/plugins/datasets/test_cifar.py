from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from robench.api import DataContext, DataError, MissingDataError, SplitName
from robench_plugins.datasets._cifar import load
from robench_plugins.datasets._published import CifarDataset, RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ARCHIVE = "tiny-binary.tar.gz"
FOLDER = "tiny-bin"
RECORDS = 4
PIXELS = 3 * 2 * 5
SIZE = RECORDS * (1 + PIXELS)
TRAIN = ("train_1.bin", "train_2.bin", "train_3.bin")
VALIDATION = 6
RANDOM = np.random.default_rng(0)


def make_batch() -> NDArray[np.uint8]:
    batch = RANDOM.integers(0, 256, (RECORDS, 1 + PIXELS), np.uint8)
    batch[:, 0] %= 10
    return batch


BATCHES = {name: make_batch() for name in (*TRAIN, "test.bin")}
CONTENTS = {f"{FOLDER}/{name}": batch.tobytes() for name, batch in BATCHES.items()}


def pack(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def describe(archive: bytes) -> CifarDataset:
    return CifarDataset(
        name="tiny",
        archive=RemoteFile(
            name=ARCHIVE,
            sha256=hashlib.sha256(archive).hexdigest(),
            size=len(archive),
            urls=(f"https://example.org/{ARCHIVE}",),
        ),
        folder=FOLDER,
        train=TRAIN,
        test=("test.bin",),
        records=RECORDS,
        shape=(3, 2, 5),
        classes=10,
        validation=VALIDATION,
    )


PACKED = pack({"../../escaped": b"?", f"{FOLDER}/readme.html": b"hello", **CONTENTS})
DATASET = describe(PACKED)


def put_archive(folder: Path, archive: bytes = PACKED) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ARCHIVE).write_bytes(archive)
    return folder


def put_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, batch in BATCHES.items():
        (folder / name).write_bytes(batch.tobytes())
    return folder


@pytest.mark.parametrize(("split", "names"), [("train", TRAIN), ("validation", TRAIN), ("test", ["test.bin"])])
@pytest.mark.parametrize("unpacked", [True, False])
def test_split_has_its_rows_as_float_images_and_int_labels(
    context: DataContext, tmp_path: Path, unpacked: bool, split: SplitName, names: list[str]
) -> None:
    if unpacked:
        put_folder(tmp_path / FOLDER)
    else:
        put_archive(tmp_path)
    loaded = load(split, DATASET, replace(context, data_dir=tmp_path))
    rows = {"train": slice(VALIDATION, None), "validation": slice(VALIDATION), "test": slice(None)}[split]
    records = np.concatenate([BATCHES[name] for name in names])[rows]
    expected = records[:, 1:].reshape(-1, 3, 2, 5).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(loaded.images, expected)
    np.testing.assert_array_equal(loaded.labels, records[:, 0])
    assert loaded.images.dtype == np.float32
    assert loaded.labels.dtype == np.int64
    assert loaded.images.flags.c_contiguous


@pytest.mark.parametrize("place", [FOLDER, "", f"tiny/{FOLDER}", "tiny"])
def test_unpacked_folder_may_lie_in_four_places_and_is_said_to_be_unverified(
    context: DataContext, tmp_path: Path, lines: list[str], place: str
) -> None:
    folder = put_folder(tmp_path / "mine" / place)
    assert len(load("test", DATASET, replace(context, data_dir=tmp_path / "mine"))) == RECORDS
    assert lines == [f"contents of {folder} not verified against the official archive"]


@pytest.mark.parametrize("place", ["", "tiny"])
def test_archive_is_preferred_to_unpacked_files(
    context: DataContext, tmp_path: Path, lines: list[str], place: str
) -> None:
    put_folder(tmp_path / place / FOLDER)
    put_archive(tmp_path / place)
    load("test", DATASET, replace(context, data_dir=tmp_path))
    assert lines == []


def test_cached_archive_is_used(context: DataContext, tmp_path: Path) -> None:
    put_archive(tmp_path / "cache" / "tiny")
    assert len(load("test", DATASET, context)) == RECORDS


def test_archive_that_is_nowhere_cannot_be_had_offline(context: DataContext, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=f"{tmp_path}/cache/tiny/{ARCHIVE} is missing, and downloads are off"):
        load("test", DATASET, context)


def test_only_the_files_of_the_split_are_opened(context: DataContext, tmp_path: Path) -> None:
    folder = put_folder(tmp_path / FOLDER)
    (folder / TRAIN[2]).unlink()
    context = replace(context, data_dir=tmp_path)
    assert len(load("validation", DATASET, context)) == VALIDATION
    with pytest.raises(DataError, match=rf"{FOLDER}/train_3\.bin cannot be read: No such file"):
        load("train", DATASET, context)


def test_nothing_of_the_archive_reaches_the_disk(context: DataContext, tmp_path: Path) -> None:
    folder = put_archive(tmp_path / "a" / "b" / "mine")
    load("train", DATASET, replace(context, data_dir=folder))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [ARCHIVE]


def test_altered_archive_is_an_error_even_beside_unpacked_files(context: DataContext, tmp_path: Path) -> None:
    put_folder(tmp_path / FOLDER)
    put_archive(tmp_path, PACKED[:-1] + b"\1")
    with pytest.raises(DataError, match=f"{ARCHIVE} is not the published archive"):
        load("test", DATASET, replace(context, data_dir=tmp_path))


def pack_link() -> bytes:
    member = tarfile.TarInfo(f"{FOLDER}/test.bin")
    member.type = tarfile.SYMTYPE
    member.linkname = "/etc/passwd"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(member)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (pack_link(), f"test.bin must have {SIZE} bytes"),
        (pack({f"{FOLDER}/test.bin": bytes(SIZE + 1)}), f"must have {SIZE} bytes .* and has more"),
        (pack({f"{FOLDER}/test.bin": bytes(SIZE - 1)}), f"must have {SIZE} bytes .* and has {SIZE - 1}"),
        (pack({f"{FOLDER}/test.bin": b"\x0a" * SIZE}), "has label 10 in record 0"),
        (pack({"other/test.bin": bytes(SIZE)}), f"lacks {FOLDER}/test.bin"),
        (PACKED[: len(PACKED) // 2], "is cut short or damaged"),
        (b"no archive at all", "is cut short or damaged"),
    ],
    ids=["link", "too long", "too short", "wrong label", "missing", "cut", "no archive"],
)
def test_archive_with_the_right_digest_is_still_not_trusted(
    context: DataContext, tmp_path: Path, archive: bytes, message: str
) -> None:
    put_archive(tmp_path, archive)
    with pytest.raises(DataError, match=message) as caught:
        load("test", describe(archive), replace(context, data_dir=tmp_path))
    assert str(tmp_path / ARCHIVE) in caught.value.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(SIZE + 1), f"must have {SIZE} bytes .4 records. and has more"),
        (bytes(SIZE - 1), f"must have {SIZE} bytes .4 records. and has {SIZE - 1}"),
        (bytes(SIZE - 1 - PIXELS) + b"\x0c" + bytes(PIXELS), "has label 12 in record 3; labels go from 0 to 9"),
    ],
    ids=["too long", "too short", "wrong label"],
)
def test_unpacked_file_in_another_format_is_an_error_that_names_it(
    context: DataContext, tmp_path: Path, content: bytes, message: str
) -> None:
    folder = put_folder(tmp_path / FOLDER)
    (folder / "test.bin").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load("test", DATASET, replace(context, data_dir=tmp_path))
    assert str(folder / "test.bin") in caught.value.message


def test_folder_in_place_of_the_archive_is_an_error(context: DataContext, tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).mkdir()
    with pytest.raises(DataError, match=f"{ARCHIVE} cannot be read: Is a directory"):
        load("test", DATASET, replace(context, data_dir=tmp_path))


def test_file_in_place_of_the_folder_is_an_error(context: DataContext, tmp_path: Path) -> None:
    (tmp_path / FOLDER).touch()
    with pytest.raises(DataError, match=r"test\.bin cannot be read: Not a directory"):
        load("test", DATASET, replace(context, data_dir=tmp_path))


def test_empty_user_folder_is_an_error_that_names_what_is_wanted(context: DataContext, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load("test", DATASET, replace(context, data_dir=tmp_path))
    assert caught.value.message == f"neither {tmp_path / ARCHIVE} nor the folder {tmp_path / FOLDER} exists"
    assert DATASET.archive.urls[0] in caught.value.hint


def test_validation_may_span_several_files(context: DataContext, tmp_path: Path) -> None:
    put_archive(tmp_path)
    dataset = replace(DATASET, validation=2 * RECORDS + 1)
    assert len(load("validation", dataset, replace(context, data_dir=tmp_path))) == 2 * RECORDS + 1
