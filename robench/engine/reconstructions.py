"""What a selecting defense chooses from, as pictures: one reconstruction of an image for each class."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from robench.engine.examples import unusable
from robench.engine.files import replacing
from robench.engine.precision import judging_precision
from robench.engine.seeding import ImageStreams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from robench.engine.deploy import Deployed

_WHITE = 255
_PURPOSE = "reconstruct"
_DTYPES = {"images": torch.uint8, "errors": torch.float32, "positions": torch.int64}


@dataclass(frozen=True, kw_only=True)
class Reconstructions:
    """The candidates of a defense for some images, all on the CPU.

    Attributes:
        images: Shape (N, K, C, H, W), uint8: each in [0, 1] times 255, rounded.
        errors: Shape (N, K), float32: the defense takes the candidate with the least.
        positions: Shape (N,), int64: places of the images in the run's order of the test split.
    """

    images: Tensor
    errors: Tensor
    positions: Tensor


def reconstruct(
    deployed: Deployed, attacked: Tensor, *, indices: Sequence[int], positions: Sequence[int], seed: int, attack: str
) -> Reconstructions:
    """Ask a selecting defense what it chooses from.

    A stochastic defense draws afresh: these are not the draws on which the images were judged.

    Args:
        deployed: The defense.
        attacked: Shape (N, C, H, W), float32, in [0, 1], on its device.
        indices: Of the images in the test split.
        positions: Of the images in the run's order.
        seed: Of the run.
        attack: Name of the attack.

    Raises:
        PluginError: If the answer has another form than declared.
    """
    random = ImageStreams(list(indices), attacked.device, _PURPOSE, seed, attack)
    with torch.no_grad(), judging_precision(attacked.device):
        found = deployed.candidates(attacked, random)
        choices = [torch.full((len(attacked),), number, device=attacked.device) for number in range(deployed.classes)]
        images = torch.stack([found.take(choice).images for choice in choices], dim=1)
    return Reconstructions(
        images=(_WHITE * images.clamp(0, 1)).round().to(torch.uint8).cpu(),
        errors=found.errors.cpu(),
        positions=torch.tensor(positions),
    )


def write_reconstructions(path: Path, found: Reconstructions, facts: Mapping[str, object]) -> None:
    """Write reconstructions, whole or not at all.

    Args:
        path: Where to; its folder is made.
        found: What to write.
        facts: What they are reconstructions of, as JSON values.

    Raises:
        RobenchError: If it cannot be written.
    """
    tensors = {name: getattr(found, name).contiguous() for name in _DTYPES}
    metadata = {key: json.dumps(value, allow_nan=False) for key, value in facts.items()}
    with replacing(path, elsewhere="name with --db a store in") as temporary:
        save_file(tensors, temporary, metadata=metadata)


def read_reconstructions(path: Path, shape: tuple[int, int, int]) -> tuple[Reconstructions, dict[str, object]]:
    """Read reconstructions and what they are of.

    Args:
        path: Of the file.
        shape: Channels, height and width of an image.

    Raises:
        RobenchError: If the file is truncated, or no file of reconstructions of that shape.
    """
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            facts = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise unusable(path, f"cannot be read: {error}") from error
    if {name: tensor.dtype for name, tensor in found.items()} != _DTYPES:
        raise unusable(path, f"holds {', '.join(sorted(found)) or 'nothing'}")
    own = Reconstructions(**found)
    rows = (own.positions.numel(), own.errors.shape[-1] if own.errors.ndim else 0)
    if tuple(own.errors.shape) != rows or tuple(own.images.shape) != (*rows, *shape):
        raise unusable(path, f"holds images {tuple(own.images.shape)} and errors {tuple(own.errors.shape)}")
    return own, facts
