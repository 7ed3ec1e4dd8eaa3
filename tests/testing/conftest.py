"""Plugins to check: the toys, and those that lie."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

import pytest

from robench.api import DataContext
from robench.registry import load_catalog

if TYPE_CHECKING:
    from pathlib import Path

    from robench.registry import Catalog


@pytest.fixture
def data(tmp_path: Path) -> DataContext:
    """No data but those that ship with a plugin."""
    return DataContext(data_dir=None, cache_dir=tmp_path / "data", offline=True, report=lambda _: None)


@pytest.fixture
def catalog(toys_folder: Path, lying_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """Everything that is installed, with the toys and the liars."""
    for folder in (toys_folder, lying_folder):
        monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    return load_catalog({name: value for name, value in os.environ.items() if not name.startswith("ROBENCH_")})
