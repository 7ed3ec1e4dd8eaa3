"""What a data set's plugin does wrong is said in one line that names it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from robench.api import DataContext, DataError, DatasetSpec, PluginError, Split
from robench.engine.data import LoadedSplit, Splits

if TYPE_CHECKING:
    from pathlib import Path


def splits(load: Any, folder: Path) -> Splits:
    spec = DatasetSpec(
        name="mine",
        summary="",
        source="",
        shape=(1, 2, 2),
        classes=("a", "b"),
        sizes={"train": 2, "validation": 2, "test": 2},
        load=load,
    )
    return Splits(spec, DataContext(data_dir=None, cache_dir=folder, offline=True, report=print))


def crash(split: str, context: DataContext) -> Split:
    message = "no such column"
    raise KeyError(message)


def leave(split: str, context: DataContext) -> Split:
    sys.exit(0)


def give_a_tuple(split: str, context: DataContext) -> tuple[int, int]:
    return (1, 2)


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (crash, "data set mine, split test failed: KeyError: 'no such column'"),
        (leave, "data set mine, split test failed: SystemExit: 0"),
        (give_a_tuple, "data set mine, split test failed: TypeError: load returned tuple"),
    ],
)
def test_a_data_set_that_fails_is_named(tmp_path: Path, load: object, expected: str) -> None:
    with pytest.raises(PluginError) as caught:
        _ = splits(load, tmp_path).test
    assert str(caught.value).startswith(expected)


def test_an_error_for_the_user_stays_what_it_is(tmp_path: Path) -> None:
    def load(split: str, context: DataContext) -> Split:
        message = "images.gz is missing"
        raise DataError(message, "download it")

    with pytest.raises(DataError, match=r"^images.gz is missing; download it$"):
        _ = splits(load, tmp_path).test


def test_whoever_gets_tensors_cannot_change_the_split() -> None:
    split = LoadedSplit(images=np.zeros((3, 1, 2, 2), np.float32), labels=np.zeros(3, np.int64), digest="")
    for tensor in split.tensors(slice(2), torch.device("cpu")):
        assert len(tensor) == 2
        tensor.fill_(1)
    assert not split.images.any()
    assert not split.labels.any()
