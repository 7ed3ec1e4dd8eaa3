"""Random streams that depend on the seed, the purpose and the image, never on the batch or the global generators."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    _Fill = Callable[[np.random.Generator, NDArray[np.float32]], object]


def derive_seed(*parts: str | int) -> int:
    """Return a seed in [0, 2**63) that depends on every part and on their order."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def image_order(seed: int, size: int) -> NDArray[np.int64]:
    """Return the order in which a run takes the images of the test split, shape (size,).

    A prefix of a random order is a random sample, which is what the printed intervals assume; the first images of a
    published split are not (the first half of MNIST's test images comes from other writers than the second).
    """
    generator = np.random.Generator(np.random.Philox(key=derive_seed("order", seed)))
    return generator.permutation(size)


class ImageStreams:
    """One counter-based stream (Philox) per image; see ``robench.api.ImageRandom``.

    Args:
        images: Indices of the images of the batch in their split.
        device: Where the draws are wanted. They are made on the CPU, hence the same for every device.
        purpose: What the draws are for, such as ``("judge", seed, "pgd", "0.3")``.
    """

    def __init__(self, images: Sequence[int], device: torch.device, *purpose: str | int) -> None:
        base = derive_seed(*purpose)
        self._streams = [np.random.Generator(np.random.Philox(key=[base, image])) for image in images]
        self._device = device

    def normal(self, *size: int) -> Tensor:
        """Draw from the standard normal distribution, shape (N, *size), float32."""
        return self._draw(lambda stream, out: stream.standard_normal(out=out, dtype=np.float32), size)

    def uniform(self, *size: int) -> Tensor:
        """Draw from the uniform distribution over [0, 1), shape (N, *size), float32."""
        return self._draw(lambda stream, out: stream.random(out=out, dtype=np.float32), size)

    def _draw(
        self, fill: Callable[[np.random.Generator, NDArray[np.float32]], object], size: tuple[int, ...]
    ) -> Tensor:
        values = np.empty((len(self._streams), *size), dtype=np.float32)
        for stream, row in zip(self._streams, values, strict=True):
            fill(stream, row)
        return torch.from_numpy(values).to(self._device)


@contextmanager
def isolated_default_generator() -> Iterator[None]:
    """Let code seed and use torch's default generators, then put their states back.

    Dropout and weight initialisation accept no generator of their own, so training cannot do without the default one.
    """
    with torch.random.fork_rng():
        yield
