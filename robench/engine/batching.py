"""How many images go through a defense together: tried out once for each device, then remembered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from robench.api import PluginError
from robench.engine.ascent import GradientAscent
from robench.engine.precision import searching_precision
from robench.engine.remembered import Remembered
from robench.engine.seeding import ImageStreams

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from robench.api import Target
    from robench.engine.deploy import Deployed

_CANDIDATES = {"cpu": (100, 200, 400), "cuda": (250, 500, 1000, 2000, 4000, 8000)}
_TOLERANCE = 1.03
"""Of batches that are about as fast the smallest is taken: it loses least when it is interrupted."""
_PATIENCE = 2.0
"""Seconds that a batch may take to be followed by a larger one."""


class BatchSizes:
    """Batch sizes found so far, in a file of the cache.

    Args:
        file: May not exist yet, or not be writable; then sizes are found anew each time.
    """

    def __init__(self, file: Path) -> None:
        self._known = Remembered(file)

    def find(self, search: Deployed, key: str, images: Tensor, labels: Tensor) -> int:
        """Return the batch size beyond which an image hardly gets cheaper.

        Args:
            search: The search form of a defense.
            key: Names weights, number format, device and versions.
            images: Some images, shape (N, C, H, W), float32, in [0, 1], on the device.
            labels: Shape (N,), int64.
        """
        size = self._known.get(key)
        if not isinstance(size, int) or size < 1:
            size = _try_out(search, images, labels)
            self._known.put(key, size)
        return size


def _try_out(search: Deployed, images: Tensor, labels: Tensor) -> int:
    candidates, seconds = _CANDIDATES[images.device.type], dict[int, float]()
    for size in candidates:
        rows = torch.arange(size, device=images.device) % len(images)
        try:
            seconds[size] = _seconds_per_image(search, images[rows], labels[rows])
        except (RuntimeError, MemoryError, PluginError):  # too large, or a defense without gradients
            break
        if seconds[size] * size > _PATIENCE:
            break
    limit = _TOLERANCE * min(seconds.values(), default=0.0)
    return next((size for size in candidates if seconds.get(size, limit + 1) <= limit), candidates[0])


def _seconds_per_image(search: Deployed, images: Tensor, labels: Tensor) -> float:
    count, device = len(images), images.device

    def confirm(found: Tensor, owners: Tensor, stage: int, step: int) -> Tensor:  # noqa: ARG001 (nobody wins here)
        return torch.zeros(len(owners), device=device)

    radius = torch.full((count, 1), 0.1, dtype=torch.float64, device=device)
    streams = ImageStreams(range(count), device, "batch size")
    ascend = GradientAscent(search, streams, images, labels, radius, rows=count, keep="last", confirm=confirm)
    fastest = float("inf")
    with searching_precision(device, search.precision):
        for _ in range(3):  # the first also prepares kernels
            _wait(device)
            begun = time.perf_counter()
            ascend(_cross_entropy, steps=1, relative_step=1.0)
            _wait(device)
            fastest = min(fastest, time.perf_counter() - begun)
    return fastest / count


def _cross_entropy(target: Target, images: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(target.head(images), labels, reduction="none")


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
