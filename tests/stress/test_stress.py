"""The stress tests with counts that take seconds; ``make stress`` runs them in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stress.battery import REDUCED, battery

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "runs",
        "trainings",
        "crowd",
        pytest.param("crowd-postgresql", marks=pytest.mark.postgres),
        "flips",
        "upgrades",
        "disks",
        "settings",
    ],
)
def test_nothing_is_lost(tmp_path: Path, name: str) -> None:
    trial = battery(tmp_path, REDUCED)[name]()
    assert trial.complaints == [], trial.found
