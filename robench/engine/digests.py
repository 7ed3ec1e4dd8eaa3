"""SHA-256 over data, weights and settings: what every stored figure names as its origin."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from robench.api import Split


def canonical_json(value: object) -> str:
    """Return JSON text that is the same for equal values.

    Raises:
        ValueError: If a number is not finite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def settings_digest(value: object) -> str:
    """Return the SHA-256 of a JSON value, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def split_digest(split: Split) -> str:
    """Return the SHA-256 of images and labels with their shapes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for array in (split.images, split.labels):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of named tensors, whatever their order, device and memory format, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = tensors[name].detach().cpu().contiguous().numpy()
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def module_digest(module: nn.Module) -> str:
    """Return the SHA-256 of all weights and buffers of a module."""
    return tensors_digest(module.state_dict())
