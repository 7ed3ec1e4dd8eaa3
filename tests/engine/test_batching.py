"""Batch sizes are tried out once, then remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from robench.api import Verdict
from robench.engine import batching
from robench.engine.batching import BatchSizes
from robench.engine.deploy import Deployed

if TYPE_CHECKING:
    from pathlib import Path

IMAGES, LABELS = torch.rand(30, 1, 4, 4), torch.zeros(30, dtype=torch.int64)


class Linear(nn.Module):
    def __init__(self, limit: int = 10**6) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 3)
        self.limit = limit
        self.largest = 0

    def forward(self, images: Tensor) -> Verdict:
        self.largest = max(self.largest, len(images))
        if len(images) > self.limit:
            message = "DefaultCPUAllocator: can't allocate memory"
            raise RuntimeError(message)
        return Verdict(logits=self.layer(images.flatten(1)))


def deployed(module: nn.Module) -> Deployed:
    return Deployed(name="mine", module=module, classifier=module, classes=3, threshold=None, stochastic=False)


def timed(monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float]) -> list[int]:
    tried: list[int] = []

    def measure(search: Deployed, images: Tensor, labels: Tensor) -> float:
        tried.append(len(images))
        return seconds[len(images)]

    monkeypatch.setattr(batching, "_seconds_per_image", measure)
    return tried


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({100: 3e-3, 200: 2e-3, 400: 1e-3}, 400),
        ({100: 1e-3, 200: 2e-3, 400: 3e-3}, 100),
        ({100: 1.02e-3, 200: 1e-3, 400: 1e-3}, 100),
        ({100: 3e-3, 200: 2e-3, 400: 1.99e-3}, 200),
    ],
)
def test_the_smallest_of_the_fastest_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seconds: dict[int, float], expected: int
) -> None:
    timed(monkeypatch, seconds)
    assert BatchSizes(tmp_path / "sizes.json").find(deployed(Linear()), "key", IMAGES, LABELS) == expected


def test_a_size_is_remembered_by_its_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tried = timed(monkeypatch, {100: 1e-3, 200: 2e-3, 400: 3e-3})
    file = tmp_path / "sizes.json"
    for key in ("one", "one", "two"):
        BatchSizes(file).find(deployed(Linear()), key, IMAGES, LABELS)
    assert tried == [100, 200, 400] * 2


def test_no_larger_batch_is_tried_after_one_that_takes_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tried = timed(monkeypatch, {100: 0.1, 200: 0.01, 400: 0.01})
    assert BatchSizes(tmp_path / "sizes.json").find(deployed(Linear()), "key", IMAGES, LABELS) == 100
    assert tried == [100]


def test_what_does_not_fit_is_not_taken(tmp_path: Path) -> None:
    module = Linear(limit=150)
    assert BatchSizes(tmp_path / "sizes.json").find(deployed(module), "key", IMAGES, LABELS) == 100
    assert module.largest == 200


def test_a_defense_without_gradients_has_a_size_too(tmp_path: Path) -> None:
    class Rounded(Linear):
        def forward(self, images: Tensor) -> Verdict:
            return Verdict(logits=super().forward(images).logits.detach())

    assert BatchSizes(tmp_path / "sizes.json").find(deployed(Rounded()), "key", IMAGES, LABELS) == 100


@pytest.mark.parametrize("content", ["", "[1]", '{"key": "many"}', '{"key": 0}', "{"])
def test_a_damaged_file_is_only_a_lost_memory(tmp_path: Path, content: str) -> None:
    file = tmp_path / "sizes.json"
    file.write_text(content, encoding="utf-8")
    assert BatchSizes(file).find(deployed(Linear()), "key", IMAGES, LABELS) in {100, 200, 400}
    assert '"key"' in file.read_text(encoding="utf-8")


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    folder = tmp_path / "folder"
    folder.mkdir()
    for file in (blocked / "sizes.json", folder):
        assert BatchSizes(file).find(deployed(Linear()), "key", IMAGES, LABELS) in {100, 200, 400}
