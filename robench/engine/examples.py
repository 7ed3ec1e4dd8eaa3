"""Attacked images as files: safetensors, which hold numbers and text and never run code when they are read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from robench.api.records import NORM_LABELS
from robench.engine.balls import BALLS, within
from robench.engine.files import replacing, require_readable
from robench.engine.seeding import image_order
from robench.errors import RobenchError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from robench.api import Norm
    from robench.engine.data import LoadedSplit

_WHITE = 255
_NAMES = {"exact": "float", "eight_bit": "eight_bit", "positions": "positions", "images": "images", "labels": "labels"}
_DTYPES = {
    "exact": torch.float32,
    "eight_bit": torch.uint8,
    "positions": torch.int64,
    "images": torch.int64,
    "labels": torch.int64,
}


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Attacked images of one cell, all on the CPU.

    Attributes:
        exact: Shape (N, C, H, W), float32, in [0, 1]: what was judged. The file calls it ``float``.
        eight_bit: Shape (N, C, H, W), uint8: the same as an image file would have it, see ``to_eight_bit``.
        positions: Shape (N,), int64, distinct: places in the run's order of the test split.
        images: Shape (N,), int64: indices in the test split.
        labels: Shape (N,), int64: true classes.
    """

    exact: Tensor
    eight_bit: Tensor
    positions: Tensor
    images: Tensor
    labels: Tensor

    def check(self, split: LoadedSplit, seed: int, epsilon: float, norm: Norm = "linf") -> None:
        """Refuse examples that are not of these test images, or not within epsilon of them.

        Args:
            split: The test split.
            seed: Of the run, which orders the test split.
            epsilon: Radius of the ball, in pixel values.
            norm: Of the ball.

        Raises:
            ValueError: If they are not. The message goes on after the name of a file.
        """
        positions = self.positions.numpy()
        inside = bool(((positions >= 0) & (positions < len(split))).all())
        if not inside or len(set(positions.tolist())) < len(positions):
            message = "names positions twice, or that the test split does not have"
            raise ValueError(message)
        images = image_order(seed, len(split))[positions]
        if (images != self.images.numpy()).any() or (split.labels[images] != self.labels.numpy()).any():
            message = "is of other images than the run"
            raise ValueError(message)
        # Measured as in judgement. A NaN fails all comparisons, and so is refused here too.
        radius = torch.full((len(positions),), epsilon, dtype=torch.float64)
        reached = within(norm, self.exact, torch.from_numpy(split.images[images]), radius)
        if not bool(((self.exact >= 0) & (self.exact <= 1)).all() and reached.all()):
            message = (
                f"has pixels outside [0, 1] or is further than {epsilon:g} ({NORM_LABELS[norm]}) from the original"
            )
            raise ValueError(message)


def to_eight_bit(attacked: Tensor, originals: Tensor, epsilon: float | Tensor, norm: Norm = "linf") -> Tensor:
    """Round images to 8 bits without leaving their balls.

    In Linf each pixel goes to the nearest k / 255 inside. In L2 each goes to the nearest k / 255; where the image then
    is outside, pixels that were rounded away from the original are rounded towards it instead, the one that gains most
    first, until it is inside.

    Where that does not help, which takes an epsilon below 1 / 510 in a pixel, pixel or image are the original's,
    rounded. Data sets that come in 8 bits always have an image inside, the original itself.

    Args:
        attacked: Shape (N, C, H, W), float32, in [0, 1].
        originals: The centres of the balls, of the same shape.
        epsilon: Radius of the balls, in pixel values, or one for each, shape (N, 1, 1, 1), float64; rounding may
            exceed it by as little as in judgement.
        norm: Of the balls.

    Returns:
        Shape (N, C, H, W), uint8.
    """
    centres = originals.double()
    radius = torch.as_tensor(epsilon, dtype=torch.float64, device=originals.device).view(-1, 1, 1, 1)
    reach = radius + BALLS[norm].tolerance(radius, originals.shape[1:].numel())
    return (_round_in_cube if norm == "linf" else _round_in_sphere)(attacked.double(), centres, reach)


def _round_in_cube(attacked: Tensor, centres: Tensor, reach: Tensor) -> Tensor:
    lowest = (_WHITE * (centres - reach)).ceil().clamp(0, _WHITE)
    highest = (_WHITE * (centres + reach)).floor().clamp(0, _WHITE)
    nearest = torch.minimum(torch.maximum((_WHITE * attacked).round(), lowest), highest)
    return torch.where(lowest <= highest, nearest, (_WHITE * centres).round()).to(torch.uint8)


def _round_in_sphere(attacked: Tensor, centres: Tensor, reach: Tensor) -> Tensor:
    wanted, middle = (_WHITE * attacked).flatten(1), (_WHITE * centres).flatten(1)
    nearest, inward = wanted.round(), torch.where(wanted > middle, wanted.floor(), wanted.ceil())
    gain = ((nearest - middle).square() - (inward - middle).square()).clamp_min(0)
    gains, order = gain.sort(dim=1, descending=True, stable=True)
    total = (nearest - middle).square().sum(1, keepdim=True) - torch.cat(
        [torch.zeros_like(gain[:, :1]), gains], dim=1
    ).cumsum(1)
    limit = (_WHITE * reach).square().flatten(1)
    turned = torch.zeros_like(gain).scatter_(1, order, (total[:, :-1] > limit).double()) > 0
    rounded = torch.where(turned & (gain > 0), inward, nearest)
    outside = (rounded - middle).square().sum(1, keepdim=True) > limit
    return torch.where(outside, middle.round(), rounded).to(torch.uint8).view(attacked.shape)


def from_eight_bit(images: Tensor) -> Tensor:
    """Return images of 8 bits, uint8, as float32 in [0, 1], of the same shape."""
    return images.float() / _WHITE


def write_examples(path: Path, examples: Examples, facts: Mapping[str, object]) -> None:
    """Write examples, whole or not at all.

    Args:
        path: Where to; its folder is made.
        examples: What to write.
        facts: What they are examples of, as JSON values.

    Raises:
        RobenchError: If it cannot be written.
    """
    tensors = {name: getattr(examples, field).cpu().contiguous() for field, name in _NAMES.items()}
    metadata = {key: json.dumps(value, allow_nan=False) for key, value in facts.items()}
    with replacing(path, elsewhere="name with --db a store in") as temporary:
        save_file(tensors, temporary, metadata=metadata)


def read_examples(path: Path, shape: tuple[int, int, int]) -> tuple[Examples, dict[str, object]]:
    """Read examples and what they are examples of. Numbers are not checked, see ``Examples.check``.

    Args:
        path: Of the file.
        shape: Channels, height and width of an image.

    Raises:
        RobenchError: If the file is truncated, or no file of examples of that shape.
    """
    try:
        require_readable(path)
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            facts = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise unusable(path, f"cannot be read: {error}") from error
    if set(found) != set(_NAMES.values()):
        raise unusable(path, f"holds {', '.join(sorted(found)) or 'nothing'}")
    examples = Examples(**{field: found[name] for field, name in _NAMES.items()})
    count = examples.positions.numel()
    for field, name in _NAMES.items():
        tensor = found[name]
        expected = (count, *shape) if field in {"exact", "eight_bit"} else (count,)
        if tuple(tensor.shape) != expected or tensor.dtype != _DTYPES[field]:
            raise unusable(path, f"{name} is {tuple(tensor.shape)} {tensor.dtype}, not {expected} {_DTYPES[field]}")
    return examples, facts


def unusable(path: Path, problem: str) -> RobenchError:
    """Return the error that a file of examples cannot be used, to be raised."""
    message = f"{path}: {problem}, so it is no file of kept examples of this run"
    return RobenchError(message, "delete it; robench run --keep-examples with another --db makes it anew")
