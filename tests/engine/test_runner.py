"""Batches: one that does not fit is halved, with the same outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robench.api import ImageRandom, Verdict
from robench.engine.data import LoadedSplit
from robench.engine.deploy import Deployed
from robench.engine.prepare import Prepared
from robench.engine.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.records import ImageOutcome

CPU = torch.device("cpu")


class Greedy(nn.Module):
    """A stochastic defense that runs out of memory above a number of images."""

    def __init__(self, limit: int, error: type[RuntimeError], text: str) -> None:
        super().__init__()
        self.limit, self.error, self.text = limit, error, text

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        if len(images) > self.limit:
            raise self.error(self.text)
        return Verdict(logits=random.normal(3) + images.mean((1, 2, 3))[:, None])


def runner() -> Runner:
    generator = np.random.default_rng(0)
    split = LoadedSplit(
        images=generator.random((40, 1, 4, 4), dtype=np.float32),
        labels=generator.integers(0, 3, 40).astype(np.int64),
        digest="",
    )
    return Runner(split, seed=0, device=CPU, rows=100)


def clean(prepared: Prepared, positions: Sequence[int]) -> tuple[ImageOutcome, ...]:
    return runner().outcomes(prepared, None, positions, [("0",)] * len(positions))["0"]


def prepared(
    limit: int, error: type[RuntimeError] = torch.OutOfMemoryError, text: str = "CUDA out of memory"
) -> Prepared:
    module = Greedy(limit, error, text)
    defense = Deployed(name="greedy", module=module, classifier=module, classes=3, threshold=None, stochastic=True)
    return Prepared(
        deployed=defense, search=defense, digest="", rule=None, false_positive_rate=None, validation_images=0
    )


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_outcomes_do_not_depend_on_how_often_a_batch_was_halved(limit: int) -> None:
    positions = list(range(5, 25))
    whole = clean(prepared(1000), positions)
    halved = clean(prepared(limit), positions)
    assert halved == whole
    assert [item.position for item in halved] == positions


def test_the_cpu_allocator_is_understood_too() -> None:
    text = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 999 bytes"
    assert len(clean(prepared(4, RuntimeError, text), range(10))) == 10


def test_one_image_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        clean(prepared(0), range(4))


def test_other_errors_are_not_retried() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        clean(prepared(2, RuntimeError, "shapes cannot be multiplied"), range(4))


def test_outcomes_name_the_image_behind_each_position() -> None:
    split_order = clean(prepared(1000), range(40))
    assert sorted(item.image for item in split_order) == list(range(40))
    assert [item.image for item in split_order] != list(range(40))
