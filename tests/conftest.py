"""Third-party distributions, really installed, and a session that sees them."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from robench.config.request import Overrides
from robench.session import Session
from tests.postgres_server import MISSING, PostgresServer, find_binary, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from robench.api.records import RunSummary
    from robench.engine.progress import Progress

# The first text ever generated in a fresh checkout builds tables for seconds, which is no fault of the test.
settings.register_profile("robench", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("robench")

THIRD_PARTY = Path(__file__).parent / "third_party"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a CUDA device where there is none."""
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def clean_environment() -> dict[str, str]:
    """The environment without anything that a user may have set for robench."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ROBENCH_")}


def _install(target: Path, *names: str) -> Path:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    folders = [str(THIRD_PARTY / name) for name in names]
    subprocess.run([*command, "--target", str(target), *folders], check=True, capture_output=True, text=True)
    return target


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server. Where none is installed, what needs it skips and says what to install; in CI it fails."""
    if find_binary("postgres") is None and "REQUIRE_POSTGRESQL" not in os.environ:
        pytest.skip(MISSING)
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def toys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the well-behaved distribution ``robench-toys``."""
    return _install(tmp_path_factory.mktemp("toys"), "toys")


@pytest.fixture(scope="session")
def broken_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the distribution ``robench-broken``."""
    return _install(tmp_path_factory.mktemp("broken"), "broken")


@pytest.fixture(scope="session")
def lying_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the distribution ``robench-lying``."""
    return _install(tmp_path_factory.mktemp("lying"), "lying")


@pytest.fixture(scope="session")
def toy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cache of weights that tests share; a test that looks at training uses its own."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def _third_party_path(toys_folder: Path, broken_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for folder in (toys_folder, broken_folder):
        monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    yield
    importlib.invalidate_caches()


@dataclass(frozen=True, kw_only=True)
class ToyLab:
    """Runs toy evaluations in a folder of its own.

    Attributes:
        folder: Holds the store.
        cache: Weights.
    """

    folder: Path
    cache: Path

    def environ(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**clean_environment(), "ROBENCH_CACHE": str(self.cache), **(extra or {})}

    def session(self, progress: Progress | None = None) -> Session:
        return Session(environ=self.environ(), cwd=self.folder, progress=progress)

    def overrides(self, **changes: object) -> Overrides:
        values: dict[str, object] = {
            "dataset": "toy-bars",
            "classifier": "toy-linear",
            "defenses": ("none", "toy-detect", "toy-noise"),
            "attacks": ("fgsm", "toy-corner"),
            "epsilons": "0.1,0.3",
            "images": 60,
            "device": "cpu",
            "db": str(self.folder / "toys.db"),
        }
        return Overrides(**{**values, **changes})  # type: ignore[arg-type]

    def run(self, *, progress: Progress | None = None, **changes: object) -> RunSummary:
        session = self.session(progress)
        return session.run(session.resolve(self.overrides(**changes)), "robench run")


@pytest.fixture
def lab(tmp_path: Path, toy_cache: Path, _third_party_path: None) -> ToyLab:
    """A folder in which toys are evaluated."""
    return ToyLab(folder=tmp_path, cache=toy_cache)
