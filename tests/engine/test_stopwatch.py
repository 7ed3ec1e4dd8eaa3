"""Where the time goes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import torch

from robench.engine.stopwatch import Stopwatch

if TYPE_CHECKING:
    import pytest


def test_inner_work_counts_for_itself_and_the_rest_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("robench.engine.stopwatch.time.perf_counter", lambda: now)
    watch = Stopwatch(torch.device("cpu"))
    now = 1.0
    with watch.measure("search"):
        now = 3.0
        with watch.measure("judge"):
            now = 3.5
        now = 4.0
        with suppress(ValueError), watch.measure("judge"):
            now = 4.5
            int("work that fails")
    now = 10.0
    assert watch.shares() == {
        "search": (2.5, 0.25),
        "judge": (1.0, 0.1),
        "idle": (6.5, 0.65),
    }
