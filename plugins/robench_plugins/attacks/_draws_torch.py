"""Draws of libraries that know only the global generator, taken from one generator for each image instead."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Generator, Tensor

    from robench.api import ImageRandom


def image_generators(random: ImageRandom) -> list[Generator]:
    """Return a generator on the CPU for each image of the batch, seeded from its stream."""
    seeds = (random.uniform() * 2**31).long().tolist()
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@contextmanager
def image_draws(generators: Sequence[Generator], device: torch.device) -> Iterator[None]:
    """Let ``torch.rand`` and ``torch.randn`` give each image draws of its own, and leave the global generator alone.

    What an image draws then depends neither on the others in the batch nor on the device.

    Args:
        generators: Of the images, in their order. A draw for several images must have one row for each; of one image
            it may have any shape.
        device: Of the images.
    """
    if len(generators) > 1 or device.type != "cpu":
        with _Redirection(generators):
            yield
        return
    # A mode sees every call to torch, which takes a third of the time of Square. One image on the CPU can have the
    # global generator instead, for as long as it is at it.
    (own,) = generators
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(own.get_state())
        yield
        own.set_state(torch.get_rng_state())


class _Redirection(TorchFunctionMode):
    """Hands what torch is asked for to the generators of the images."""

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
