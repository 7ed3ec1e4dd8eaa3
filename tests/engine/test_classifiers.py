"""Classifiers that come trained: their weights, and the first look at what they answer."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import Tensor, nn

from robench.api import UsageError
from robench.engine.classifiers import check_classifier, load_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from robench.engine.data import Splits

CPU = torch.device("cpu")
TEMPLATES = torch.eye(4).reshape(4, 1, 2, 2)


def splits() -> Splits:
    """Four classes: which of four pixels is bright."""
    labels = np.random.default_rng(0).integers(0, 4, 300)
    images = np.full((300, 1, 2, 2), 0.1, np.float32)
    images.reshape(300, 4)[np.arange(300), labels] = 0.9
    spec = SimpleNamespace(name="pixels", classes=tuple("abcd"))
    return cast("Splits", SimpleNamespace(spec=spec, validation=SimpleNamespace(images=images, labels=labels)))


class Answer(nn.Module):
    """A classifier that is one function."""

    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> object:
        return self.function(images)


def flat(images: Tensor) -> Tensor:
    return images.flatten(1)


def check(function: Callable[[Tensor], object]) -> list[str]:
    notes: list[str] = []
    check_classifier("mine", Answer(function).eval(), splits(), CPU, notes.append)
    return notes


def test_the_accuracy_of_a_good_one_is_told_without_a_warning() -> None:
    assert check(lambda images: 5 * flat(images)) == ["classifier mine: 100.0 % of 300 validation images right"]


def test_one_near_chance_is_warned_about() -> None:
    told, warning = check(lambda images: flat(images).roll(1, dims=1))
    assert told.startswith("classifier mine: 0.0 %")
    assert "is near chance (25.0 %)" in warning


def test_probabilities_are_warned_about() -> None:
    assert "answers with probabilities" in check(lambda images: flat(images).softmax(1))[-1]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda images: flat(images)[:, :3], r"answers 3 images with torch\.float32 of shape \(3, 3\); .*\(3, 4\)"),
        (lambda images: flat(images).double(), r"torch\.float64"),
        (lambda images: flat(images).argmax(1), r"torch\.int64 of shape \(3,\)"),
        (lambda images: {"logits": flat(images)}, "answers with dict; return the logits alone"),
        (lambda images: flat(images) / 0, "not finite"),
        (lambda images: flat(images).detach(), "no gradient reaches the images"),
        (lambda images: flat(images).round() + 0 * flat(images), "no gradient reaches the images"),
        (lambda images: flat(images) - flat(images).mean(0), "differently the second time"),
        (lambda images: flat(images) * torch.rand(()), "differently the second time"),
        (lambda images: flat(images).reshape(2, 4), "fails on images of shape"),
    ],
)
def test_one_that_does_not_classify_is_refused(function: Callable[[Tensor], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check(function)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 4))


def test_weights_are_loaded_as_they_were_saved(tmp_path: Path) -> None:
    saved, loaded = network(), network()
    save_model(saved, str(tmp_path / "weights.safetensors"))
    load_weights(loaded, tmp_path / "weights.safetensors")
    assert all(torch.equal(saved.state_dict()[name], value) for name, value in loaded.state_dict().items())


def test_weights_that_are_shared_are_saved_once_and_not_missed(tmp_path: Path) -> None:
    def tied() -> nn.Module:
        first, second = nn.Linear(3, 3), nn.Linear(3, 3)
        second.weight = first.weight
        return nn.Sequential(first, second)

    saved, loaded = tied(), tied()
    save_model(saved, str(tmp_path / "weights.safetensors"))
    load_weights(loaded, tmp_path / "weights.safetensors")
    assert torch.equal(loaded(torch.ones(1, 3)), saved(torch.ones(1, 3)))


def test_weights_that_do_not_fit_are_listed_and_none_is_loaded(tmp_path: Path) -> None:
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    tensors = {name: value.clone() + 1 for name, value in before.items()}
    tensors["4.weight"], tensors["3.weight"] = tensors.pop("1.weight"), torch.zeros(5, 8)
    save_file(tensors, tmp_path / "weights.safetensors")
    shapes = "of another shape: 3.weight is (5, 8), not (4, 8)"
    expected = f"does not fit Sequential: missing: 1.weight; unexpected: 4.weight; {shapes}"
    with pytest.raises(UsageError, match=re.escape(expected)):
        load_weights(module, tmp_path / "weights.safetensors")
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_a_file_that_is_no_safetensors_is_named(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(UsageError, match="cannot be read as safetensors"):
        load_weights(network(), tmp_path / "weights.safetensors")
