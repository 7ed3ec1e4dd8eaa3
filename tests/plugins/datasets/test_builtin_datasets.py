from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pytest

from robench.api import SPLIT_NAMES, DataContext, DataError, DatasetSpec
from robench_plugins.datasets import cifar10, fashion_mnist, mnist

if TYPE_CHECKING:
    from pathlib import Path

    from robench.api import Split, SplitName


class Plugin(Protocol):
    """A plugin module."""

    def load(self, split: SplitName, context: DataContext) -> Split: ...


SPECS: list[DatasetSpec] = [spec for plugin in (mnist, fashion_mnist, cifar10) for spec in plugin.robench_datasets()]


@pytest.mark.parametrize("module", ["mnist", "fashion_mnist", "cifar10"])
def test_listing_imports_nothing_heavy(module: str) -> None:
    script = f"""
import sys
from robench_plugins.datasets import {module}
list({module}.robench_datasets())
print([name for name in ("numpy", "torch", "pooch", "requests", "filelock") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_spec_is_complete(spec: DatasetSpec) -> None:
    assert len(spec.classes) == len(set(spec.classes)) == 10
    assert set(spec.sizes) == set(SPLIT_NAMES)
    assert spec.sizes["validation"] == 6_000
    assert spec.sizes["test"] == 10_000
    assert spec.summary
    assert spec.source


def test_names_and_shapes_are_the_usual_ones() -> None:
    assert {spec.name: spec.shape for spec in SPECS} == {
        "mnist": (1, 28, 28),
        "fashion-mnist": (1, 28, 28),
        "cifar10": (3, 32, 32),
    }


def test_cifar_files_have_their_official_size() -> None:
    dataset = cifar10.CIFAR10
    assert dataset.records * (1 + np.prod(dataset.shape)) == 30_730_000
    assert dataset.records * len(dataset.train) - dataset.validation == 44_000


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Split]:
    cache = tmp_path_factory.mktemp("cache")
    context = DataContext(data_dir=None, cache_dir=cache, offline=True, report=lambda _: None)
    return {name: mnist.load(name, context) for name in SPLIT_NAMES}


@pytest.mark.parametrize("name", SPLIT_NAMES)
def test_mnist_has_the_shapes_types_and_ranges_of_its_spec(splits: dict[str, Split], name: str) -> None:
    split = splits[name]
    count = {"train": 54_000, "validation": 6_000, "test": 10_000}[name]
    assert len(split) == count
    assert split.images.shape == (count, 1, 28, 28)
    assert split.images.dtype == np.float32
    assert split.images.flags.c_contiguous
    assert (split.images.min(), split.images.max()) == (0, 1)
    assert split.labels.dtype == np.int64
    assert set(split.labels) == set(range(10))


def test_mnist_validation_and_train_are_the_published_images_in_their_order(splits: dict[str, Split]) -> None:
    parts = (splits["validation"], splits["train"])
    pixels = np.concatenate([np.rint(split.images * 255).astype(np.uint8) for split in parts])
    header = bytes.fromhex("00000803 0000ea60 0000001c 0000001c")
    assert hashlib.sha256(header + pixels.tobytes()).hexdigest() == mnist.MNIST.train.images.sha256
    labels = np.concatenate([split.labels.astype(np.uint8) for split in parts])
    header = bytes.fromhex("00000801 0000ea60")
    assert hashlib.sha256(header + labels.tobytes()).hexdigest() == mnist.MNIST.train.labels.sha256


def test_mnist_test_images_are_the_published_ones(splits: dict[str, Split]) -> None:
    pixels = np.rint(splits["test"].images * 255).astype(np.uint8)
    header = bytes.fromhex("00000803 00002710 0000001c 0000001c")
    assert hashlib.sha256(header + pixels.tobytes()).hexdigest() == mnist.MNIST.test.images.sha256
    assert list(splits["test"].labels[:5]) == [7, 2, 1, 0, 4]


def test_mnist_pixels_are_exact_multiples_of_a_255th(splits: dict[str, Split]) -> None:
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    assert np.isin(splits["validation"].images, values).all()


def test_mnist_comes_from_the_user_folder_only_when_one_is_given(context: DataContext, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte"):
        mnist.load("test", replace(context, data_dir=tmp_path))
    shutil.copytree(mnist.SHIPPED, tmp_path / "mnist")
    assert len(mnist.load("test", replace(context, data_dir=tmp_path))) == 10_000


def test_tampered_mnist_is_never_used(context: DataContext, tmp_path: Path) -> None:
    shutil.copytree(mnist.SHIPPED, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=str(path)):
        mnist.load("test", replace(context, data_dir=tmp_path))


def test_mnist_is_not_taken_for_fashion_mnist(context: DataContext) -> None:
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz was altered"):
        fashion_mnist.load("test", replace(context, data_dir=mnist.SHIPPED))


def test_mnist_notice_names_authors_and_licence() -> None:
    notice = (mnist.SHIPPED / "NOTICE.md").read_text()
    for text in ("LeCun", "Cortes", "Burges", "https://creativecommons.org/licenses/by-sa/3.0/", "unmodified"):
        assert text in notice


@pytest.mark.parametrize(
    ("plugin", "file"),
    [
        (cifar10, "cifar10/cifar-10-binary.tar.gz"),
        pytest.param(
            fashion_mnist,
            "fashion-mnist/t10k-images-idx3-ubyte.gz",
            marks=pytest.mark.skipif(fashion_mnist.INSTALLED.exists(), reason="dataset-fashion-mnist is installed"),
        ),
    ],
)
def test_data_set_that_is_not_at_hand_offline_says_what_to_get(context: DataContext, plugin: Plugin, file: str) -> None:
    with pytest.raises(DataError) as caught:
        plugin.load("test", context)
    assert caught.value.message == f"{context.cache_dir / file} is missing, and downloads are off"


@pytest.mark.skipif(not fashion_mnist.INSTALLED.exists(), reason="dataset-fashion-mnist is not installed")
def test_fashion_mnist_comes_from_the_debian_package(context: DataContext, lines: list[str]) -> None:
    split = fashion_mnist.load("test", context)
    assert split.images.shape == (10_000, 1, 28, 28)
    assert lines == []
