"""Random streams that depend on the seed, the purpose and the image, never on the batch or the global generators."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from robench.api import ImageRandom

    _Fill = Callable[[np.random.Generator, NDArray[np.float32]], object]

_RESERVE = 2**22
"""Numbers drawn ahead at most: 16 MiB."""


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

    Draws of each kind and shape come from a stream of their own. So they can be made ahead, many at a time, without
    a change to what any later call returns.

    Args:
        images: Indices of the images of the batch in their split.
        device: Where the draws are wanted. They are made on the CPU, hence the same for every device.
        purpose: What the draws are for, such as ``("judge", seed, "pgd")``.
    """

    def __init__(self, images: Sequence[int], device: torch.device, *purpose: str | int) -> None:
        self._images, self._device, self._purpose = images, device, purpose
        self._reserves: dict[tuple[str | int, ...], _Reserve] = {}

    def normal(self, *size: int) -> Tensor:
        """Draw from the standard normal distribution, shape (N, *size), float32."""
        return self._draw("normal", lambda stream, out: stream.standard_normal(out=out, dtype=np.float32), size)

    def uniform(self, *size: int) -> Tensor:
        """Draw from the uniform distribution over [0, 1), shape (N, *size), float32."""
        return self._draw("uniform", lambda stream, out: stream.random(out=out, dtype=np.float32), size)

    def _draw(self, kind: str, fill: _Fill, size: tuple[int, ...]) -> Tensor:
        key: tuple[str | int, ...] = (kind, *size)
        if key not in self._reserves:
            base = derive_seed(*self._purpose, *key)
            streams = [np.random.Generator(np.random.Philox(key=[base, image])) for image in self._images]
            self._reserves[key] = _Reserve(streams, fill, size, self._device)
        return self._reserves[key].take()


class _Reserve:
    """Draws of one kind and shape, made ahead: one at first, since many callers need no more, then ever more."""

    def __init__(
        self, streams: list[np.random.Generator], fill: _Fill, size: tuple[int, ...], device: torch.device
    ) -> None:
        self._streams, self._fill, self._size, self._device = streams, fill, size, device
        self._ahead: deque[Tensor] = deque()
        self._count = 1
        self._most = max(1, _RESERVE // max(1, len(streams) * math.prod(size)))

    def take(self) -> Tensor:
        if not self._ahead:
            values = np.empty((len(self._streams), self._count, *self._size), dtype=np.float32)
            for stream, row in zip(self._streams, values, strict=True):
                self._fill(stream, row)
            draws = torch.from_numpy(values).transpose(0, 1).contiguous()
            if self._device.type == "cuda":
                draws = draws.pin_memory()
            self._ahead.extend(draws.to(self._device, non_blocking=True))
            self._count = min(2 * self._count, self._most)
        return self._ahead.popleft()


class SharedDraws:
    """Random streams that give the same draws again: to the next part of a batch, or to the same images once more.

    Draws that are remembered belong to one pass over the batch. ``again`` begins another pass with the same draws,
    ``renew`` one with fresh draws.
    """

    def __init__(self, streams: ImageRandom) -> None:
        self._streams = streams
        self._remembered: list[Tensor] = []
        self._given = 0

    def again(self) -> None:
        """Give the draws of the present pass once more, from the first."""
        self._given = 0

    def renew(self) -> None:
        """Forget the draws of the present pass."""
        self._remembered.clear()
        self._given = 0

    def normal(self, *size: int) -> Tensor:
        """Draw as ``ImageStreams.normal`` does."""
        return self._give(self._streams.normal, size)

    def uniform(self, *size: int) -> Tensor:
        """Draw as ``ImageStreams.uniform`` does."""
        return self._give(self._streams.uniform, size)

    def _give(self, draw: Callable[..., Tensor], size: tuple[int, ...]) -> Tensor:
        if self._given == len(self._remembered):
            self._remembered.append(draw(*size))
        self._given += 1
        return self._remembered[self._given - 1]


class CalmStreams:
    """No randomness: every draw is the mean of its distribution.

    Args:
        streams: Those whose number and device it takes over.
    """

    def __init__(self, streams: ImageRandom) -> None:
        self._streams = streams

    def normal(self, *size: int) -> Tensor:
        """Return zeros, shape (N, *size), float32."""
        return torch.zeros_like(self._streams.normal(*size))

    def uniform(self, *size: int) -> Tensor:
        """Return halves, shape (N, *size), float32."""
        return torch.full_like(self._streams.uniform(*size), 0.5)


class SelectedStreams:
    """The streams of some images of a batch, in any order, each as often as wanted.

    Args:
        streams: Those of the whole batch.
        rows: Shape (M,), int64: which image each row is about.
    """

    def __init__(self, streams: ImageRandom, rows: Tensor) -> None:
        self._streams, self._rows = streams, rows

    def normal(self, *size: int) -> Tensor:
        """Draw for the whole batch and return the rows, shape (M, *size)."""
        return self._streams.normal(*size)[self._rows]

    def uniform(self, *size: int) -> Tensor:
        """Draw for the whole batch and return the rows, shape (M, *size)."""
        return self._streams.uniform(*size)[self._rows]


@contextmanager
def isolated_default_generator() -> Iterator[None]:
    """Let code seed and use torch's default generators, then put their states back.

    Dropout and weight initialisation accept no generator of their own, so training cannot do without the default one.
    """
    with torch.random.fork_rng():
        yield
