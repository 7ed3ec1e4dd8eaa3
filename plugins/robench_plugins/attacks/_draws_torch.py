"""Draws of libraries that know only the global generator, taken from one generator for each image instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Generator, Tensor

    from robench.api import ImageRandom


def image_generators(random: ImageRandom) -> list[Generator]:
    """Return a generator on the CPU for each image of the batch, seeded from its stream."""
    seeds = (random.uniform() * 2**31).long().tolist()
    return [torch.Generator().manual_seed(seed) for seed in seeds]


class ImageDraws(TorchFunctionMode):
    """While it is entered, ``torch.rand`` and ``torch.randn`` give each image draws of its own.

    The global generator is left alone, and what an image draws does not depend on the others in the batch.

    Args:
        generators: Of the images, in their order. A draw for several images must have one row for each; of one image
            it may have any shape.
    """

    def __init__(self, generators: Sequence[Generator]) -> None:
        super().__init__()
        self._generators = generators

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Call what torch was asked for, with another generator if it draws."""
        if func is torch.rand or func is torch.randn:
            size = args[0] if len(args) == 1 and not isinstance(args[0], int) else args
            return self._draw(func, tuple(size), **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _draw(
        self, draw: Callable[..., Tensor], size: tuple[int, ...], device: torch.device | None = None, **options: object
    ) -> Tensor:
        """Draw on the CPU, hence the same for every device.

        Raises:
            RuntimeError: If a draw for several images has not one row for each: they would share it.
        """
        if len(self._generators) == 1:
            return draw(size, generator=self._generators[0], **options).to(device)
        if size[0] != len(self._generators):
            message = f"a draw of shape {size} for {len(self._generators)} images"
            raise RuntimeError(message)
        rows = [draw(size[1:], generator=generator, **options) for generator in self._generators]
        return torch.stack(rows).to(device)
