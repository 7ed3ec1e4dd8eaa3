"""Where the time of a run goes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stopwatch:
    """Adds up seconds by kind of work. What is measured inside something else counts for itself only.

    Args:
        device: Waited for before each reading if it is a CUDA device and ``exact``.
        exact: Whether to wait, which slows the work down a little.
    """

    def __init__(self, device: torch.device, *, exact: bool = False) -> None:
        self._waits = exact and device.type == "cuda"
        self._device = device
        self._begun = self._read()
        self._open: list[str] = []
        self._since = self._begun
        self._seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, kind: str) -> Iterator[None]:
        """Count the time until the context ends for this kind of work."""
        self._turn()
        self._open.append(kind)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def shares(self) -> dict[str, tuple[float, float]]:
        """Return seconds and share of the whole by kind; ``idle`` is what was not measured."""
        whole = self._read() - self._begun
        seconds = {**self._seconds, "idle": whole - sum(self._seconds.values())}
        return {kind: (spent, spent / whole if whole else 0.0) for kind, spent in seconds.items()}

    def _turn(self) -> None:
        now = self._read()
        if self._open:
            kind = self._open[-1]
            self._seconds[kind] = self._seconds.get(kind, 0.0) + now - self._since
        self._since = now

    def _read(self) -> float:
        if self._waits:
            torch.cuda.synchronize(self._device)
        return time.perf_counter()
