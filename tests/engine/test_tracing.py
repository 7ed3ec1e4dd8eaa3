"""A trace of a run for a browser's trace viewer."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from robench.engine.progress import Silent
from robench.engine.tracing import Tracer

if TYPE_CHECKING:
    import pytest


class Listener(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def trace(folder: Path) -> list[str]:
    listener, tracer = Listener(), Tracer(torch.device("cpu"), folder)
    with tracer.tracing(listener):
        torch.zeros(2).add(1)
        tracer.batch_done()
    return listener.notes


def test_a_trace_and_a_table_are_written(tmp_path: Path) -> None:
    trace(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["time.json", "trace.json"]


def test_a_full_disk_costs_the_trace_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def export(_: object, path: str) -> None:
        Path(f"{path}.tmp").touch()  # this is all that the profiler leaves on a full disk

    def write_text(*_: object, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch.profiler.profile, "export_chrome_trace", export)
    monkeypatch.setattr(Path, "write_text", write_text)
    notes = trace(tmp_path)
    assert notes[0] == f"{tmp_path}/trace.json could not be written: is the disk full?"
    assert notes[1] == f"{tmp_path}/time.json could not be written: No space left on device"
    assert list(tmp_path.iterdir()) == []
