from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from robench.api import DataContext

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lines() -> list[str]:
    """What was reported to the user."""
    return []


@pytest.fixture
def context(tmp_path: Path, lines: list[str]) -> DataContext:
    """Offline, with an empty cache and no folder of the user's."""
    return DataContext(data_dir=None, cache_dir=tmp_path / "cache", offline=True, report=lines.append)
