"""Attacked images as files."""

from __future__ import annotations

import dataclasses
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from robench.engine.balls import within
from robench.engine.data import LoadedSplit
from robench.engine.examples import Examples, from_eight_bit, read_examples, to_eight_bit, write_examples
from robench.engine.seeding import image_order
from robench.errors import RobenchError

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (1, 2, 2)


def split() -> LoadedSplit:
    images = np.random.default_rng(0).integers(0, 256, (9, *SHAPE)) / np.float32(255)
    return LoadedSplit(images=images.astype(np.float32), labels=np.arange(9), digest="d")


def examples(**changes: Any) -> Examples:
    positions = torch.tensor([4, 2])
    images = torch.from_numpy(image_order(3, 9))[positions]
    clean = torch.from_numpy(split().images)[images]
    exact = (clean + 0.1).clamp(0, 1)
    given = {"exact": exact, "eight_bit": to_eight_bit(exact, clean, 0.1)}
    return Examples(**{**given, "positions": positions, "images": images, "labels": images.clone(), **changes})


@pytest.mark.parametrize("epsilon", [0.001, 0.002, 0.01, 0.3])
@pytest.mark.parametrize("grid", [True, False])
def test_eight_bits_are_the_nearest_inside_the_ball(epsilon: float, grid: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    clean = torch.rand(4, 1, 3, 3, generator=generator)
    clean[0, 0, 0, 0], clean[0, 0, 0, 1] = 0.0, 1.0
    clean = (255 * clean).round() / 255 if grid else clean
    attacked = (clean + epsilon * (2 * torch.rand(clean.shape, generator=generator) - 1)).clamp(0, 1)
    found = to_eight_bit(attacked, clean, epsilon)
    assert found.dtype == torch.uint8
    for value, x, original in zip(
        found.flatten().tolist(),
        attacked.flatten().double().tolist(),
        clean.flatten().double().tolist(),
        strict=True,
    ):
        inside = [k for k in range(256) if abs(k / 255 - original) <= epsilon + 1e-6]
        expected = min(inside, key=lambda k: abs(k / 255 - x)) if inside else round(255 * original)
        assert value == expected


@pytest.mark.parametrize("epsilon", [0.001, 0.05, 0.5])
def test_eight_bits_stay_in_the_l2_ball_and_are_the_nearest_where_these_do(epsilon: float) -> None:
    generator = torch.Generator().manual_seed(1)
    clean = (255 * torch.rand(20, 1, 6, 6, generator=generator)).round() / 255
    offsets = torch.randn(clean.shape, generator=generator)
    offsets *= epsilon * torch.linspace(0.5, 1, 20).view(-1, 1, 1, 1) / offsets.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    attacked = (clean + offsets).clamp(0, 1)
    found = to_eight_bit(attacked, clean, epsilon, "l2")
    radius = torch.full((20,), epsilon, dtype=torch.float64)
    assert bool(within("l2", from_eight_bit(found), clean, radius).all())
    nearest = (255 * attacked.double()).round()
    close = within("l2", (nearest / 255).float(), clean, radius)
    assert torch.equal(found[close].double(), nearest[close])
    turned = (found.double() != nearest).flatten(1).sum(1)
    assert bool((found.double() - 255 * attacked.double()).abs().max() < 1 + 1e-4)
    assert int(turned.max()) > 0 or bool(close.all())
    assert int(close.sum()) > 0


def test_an_image_that_no_eight_bits_fit_becomes_the_rounded_original() -> None:
    clean = torch.full((1, 1, 2, 2), 10.4 / 255)
    assert to_eight_bit(clean + 1e-5, clean, 1e-4, "l2").flatten().tolist() == [10] * 4


def test_the_norm_decides_who_is_in_the_ball() -> None:
    kept = examples()
    kept.check(split(), 3, 0.2, "l2")  # four pixels, each 0.1 away
    with pytest.raises(ValueError, match=r"further than 0.1 \(L2\)"):
        kept.check(split(), 3, 0.1, "l2")


def test_what_is_rounded_in_the_ball_passes_as_an_image() -> None:
    clean = torch.tensor([[[[10 / 255]]]])
    assert to_eight_bit(clean + 0.0059, clean, 0.0059).item() == 11  # 11.5 rounds to 12, which is outside
    assert from_eight_bit(torch.tensor([51], dtype=torch.uint8)).item() == pytest.approx(0.2)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "2-4.safetensors"
    written = examples()
    write_examples(path, written, {"threshold": None, "epsilon": "0.1", "seed": 3})
    found, facts = read_examples(path, SHAPE)
    assert facts == {"threshold": None, "epsilon": "0.1", "seed": 3}
    for name, tensor in vars(written).items():
        assert torch.equal(getattr(found, name), tensor)
    found.check(split(), 3, 0.1)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert set(load_file(path)) == {"float", "eight_bit", "positions", "images", "labels"}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"positions": torch.tensor([4, 4])}, "names positions twice"),
        ({"positions": torch.tensor([4, 9])}, "the test split does not have"),
        ({"positions": torch.tensor([2, 4])}, "other images"),
        ({"labels": torch.tensor([0, 0])}, "other images"),
        ({"exact": examples().exact + 0.05}, "further than 0.1"),
        ({"exact": examples().exact * torch.nan}, "further than 0.1"),
    ],
)
def test_examples_of_something_else_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        dataclasses.replace(examples(), **changes).check(split(), 3, 0.1)


def test_a_file_that_is_truncated_or_foreign_is_named(tmp_path: Path) -> None:
    path = tmp_path / "2-4.safetensors"
    write_examples(path, examples(), {})
    whole = path.read_bytes()
    tensors = load_file(path)
    for content in (whole[:-1], whole[:20], b"", pickle.dumps(tensors), b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(RobenchError, match=r"2-4\.safetensors: cannot be read"):
            read_examples(path, SHAPE)
    foreign = [
        ({"float": tensors["float"]}, "holds float"),
        ({**tensors, "float": tensors["float"].double()}, "float is .* torch.float64"),
        ({**tensors, "labels": tensors["labels"][:1]}, "labels is"),
        ({**tensors, "eight_bit": tensors["eight_bit"][:, :, :1]}, "eight_bit is"),
    ]
    for given, complaint in foreign:
        save_file({name: tensor.contiguous() for name, tensor in given.items()}, path)
        with pytest.raises(RobenchError, match=complaint):
            read_examples(path, SHAPE)
    with pytest.raises(RobenchError, match="cannot be read"):
        read_examples(tmp_path / "missing", SHAPE)


def test_text_that_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "2-4.safetensors"
    write_examples(path, examples(), {})
    save_file(load_file(path), path, metadata={"run": "{"})
    with pytest.raises(RobenchError, match="cannot be read"):
        read_examples(path, SHAPE)
