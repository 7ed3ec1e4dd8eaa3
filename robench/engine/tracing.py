"""A trace of a run's first batches for a browser's trace viewer, and a table of where all its time went."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch

from robench.engine.stopwatch import Stopwatch
from robench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        self._note: Callable[[str], None] = lambda _: None

    @contextmanager
    def tracing(self, progress: Progress) -> Iterator[None]:
        """Trace until the context ends, then write both files and note the table.

        What cannot be written then is noted: the run's results do not depend on it.

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
        self._note = progress.note
        self._profiler = torch.profiler.profile(activities=kinds)
        self._profiler.start()
        try:
            yield
        finally:
            if self._batches == 0:
                self._profiler.stop()
                progress.warn("nothing was left to attack: no trace is written")
            else:
                self._write_trace()
                self._write_table()

    def _write_table(self) -> None:
        shares = self.watch.shares()
        table = {kind: {"seconds": seconds, "share": share} for kind, (seconds, share) in shares.items()}
        text = json.dumps(table, indent=2) + "\n"
        self._write("time.json", lambda path: path.write_text(text, encoding="utf-8"))
        for kind, (seconds, share) in sorted(shares.items(), key=lambda item: -item[1][0]):
            self._note(f"{kind:>8} {seconds:9.2f} s {100 * share:5.1f} %")

    def batch_done(self) -> None:
        """Count a batch; after a few the trace is closed, and only the table goes on."""
        self._batches += 1
        if self._batches == _TRACED_BATCHES:
            self._write_trace()

    def _write_trace(self) -> None:
        if self._profiler is not None:
            profiler, self._profiler = self._profiler, None
            profiler.stop()
            self._write("trace.json", lambda path: profiler.export_chrome_trace(str(path)))

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        """Write a file, whole or not at all.

        On a full disk the profiler raises nothing and leaves a part of the file under a name of its own, hence the
        folder.
        """
        if self._folder is None:
            return
        try:
            with TemporaryDirectory(prefix=".unfinished-", dir=self._folder) as unfinished:
                path = Path(unfinished) / name
                write(path)
                path.replace(self._folder / name)
        except (OSError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) and not isinstance(error, FileNotFoundError) else ""
            self._note(f"{self._folder / name} could not be written: {reason or 'is the disk full?'}")
