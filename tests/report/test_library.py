"""The charts' program is put together in a process of its own, which may not come to its end."""

from __future__ import annotations

import multiprocessing.spawn
import os
from multiprocessing import resource_tracker

import pytest

from robench.errors import RobenchError
from robench.report.html import library
from robench.report.html.library import bundling


def die() -> str:
    os._exit(1)


def test_a_process_that_cannot_start_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    resource_tracker.ensure_running()  # it is started by the same program, and here it is not what fails
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", b"/bin/false")
    with pytest.raises(RobenchError, match=r"the process .* ended before it was done; .* start"), bundling() as wait:
        wait()


def test_a_process_that_ends_before_it_is_done_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "bundle_library", die)
    with pytest.raises(RobenchError, match="there is memory left"), bundling() as wait:
        wait()
