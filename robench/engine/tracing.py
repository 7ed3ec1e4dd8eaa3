"""A trace of a run's first batches for a browser's trace viewer, and a table of where all its time went."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from robench.engine.stopwatch import Stopwatch
from robench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from robench.engine.progress import Progress

_TRACED_BATCHES = 4
"""A trace of forty steps through a large network has some ten thousand events already."""


class Tracer:
    """Watches a run.

    Args:
        device: Where the run computes.
        folder: Where ``trace.json`` and ``time.json`` go; None to watch nothing.
    """

    def __init__(self, device: torch.device, folder: Path | None) -> None:
        self.watch = Stopwatch(device, exact=folder is not None)
        self._device, self._folder = device, folder
        self._profiler: torch.profiler.profile | None = None
        self._batches = 0

    @contextmanager
    def tracing(self, progress: Progress) -> Iterator[None]:
        """Trace until the context ends, then write both files and note the table.

        Raises:
            UsageError: If the folder cannot be written to.
        """
        if self._folder is None:
            yield
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"--trace {self._folder}: {error.strerror or error}"
            raise UsageError(message, "name a folder that you can write to") from error
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # its start and stop are of no interest
        kinds = [torch.profiler.ProfilerActivity.CPU]
        if self._device.type == "cuda":
            kinds.append(torch.profiler.ProfilerActivity.CUDA)
        self._profiler = torch.profiler.profile(activities=kinds)
        self._profiler.start()
        try:
            yield
        finally:
            if self._batches == 0:
                self._profiler.stop()
                progress.note("nothing was left to attack: no trace is written")
            else:
                self._write_trace()
                self._write_table(self._folder, progress)

    def _write_table(self, folder: Path, progress: Progress) -> None:
        shares = self.watch.shares()
        table = {kind: {"seconds": seconds, "share": share} for kind, (seconds, share) in shares.items()}
        (folder / "time.json").write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
        for kind, (seconds, share) in sorted(shares.items(), key=lambda item: -item[1][0]):
            progress.note(f"{kind:>8} {seconds:9.2f} s {100 * share:5.1f} %")

    def batch_done(self) -> None:
        """Count a batch; after a few the trace is closed, and only the table goes on."""
        self._batches += 1
        if self._batches == _TRACED_BATCHES:
            self._write_trace()

    def _write_trace(self) -> None:
        if self._profiler is not None and self._folder is not None:
            self._profiler.stop()
            self._profiler.export_chrome_trace(str(self._folder / "trace.json"))
            self._profiler = None
