"""Built-in plugins and the toys pass every check that concerns them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from robench.registry import load_catalog
from robench.registry.requirements import missing_modules
from robench.testing.checks import CHECKS
from robench.testing.examination import open_bench, run_check
from robench.testing.setting import Setting

if TYPE_CHECKING:
    from robench.api import DataContext
    from robench.registry import Catalog, Kind

SMALL = (1, 8, 8)
SETTINGS = {
    "paper-a": Setting(),
    "hopskipjump-reject": Setting(shape=SMALL, parameters={"steps": 2, "evaluations": 30}),
    "cw": Setting(shape=SMALL, parameters={"searches": 2, "steps": 30, "initial_weight": 1.0}),
    "hopskipjump": Setting(shape=SMALL, parameters={"steps": 2, "evaluations": 30, "first_evaluations": 30}),
    "boundary": Setting(shape=SMALL, parameters={"steps": 50}),
    "forced-class": Setting(shape=SMALL, parameters={"steps": 10, "classes": 2}),
}
SLOW = {"mnist", "fashion-mnist", "cifar10"}
"""Those that have to be read and hashed, where they are."""

BUILT_IN = load_catalog({**os.environ, "ROBENCH_DISABLE_PLUGINS": "1"}).names()
TOYS: dict[Kind, tuple[str, ...]] = {
    "dataset": ("toy-bars",),
    "classifier": ("toy-linear",),
    "defense": ("toy-detect", "toy-noise", "toy-coin"),
    "attack": ("toy-corner",),
}


def failures(kind: Kind, name: str, catalog: Catalog, data: DataContext) -> tuple[list[str], int]:
    """What failed, and how many checks passed."""
    with open_bench(kind, name, catalog, SETTINGS.get(name, Setting(shape=SMALL)), data) as bench:
        results = [run_check(check, bench) for check in CHECKS[kind]]
    failed = [f"{result.check}: {result.reason}" for result in results if result.status == "FAIL"]
    return failed, [result.status for result in results].count("PASS")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, id=f"{kind}-{name}", marks=[pytest.mark.slow] if name in SLOW else [])
        for kind, names in BUILT_IN.items()
        for name in names
    ],
)
def test_built_in_plugin_passes(kind: Kind, name: str, catalog: Catalog, data: DataContext) -> None:
    missing = missing_modules(catalog.attack(name).spec) if kind == "attack" else {}
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    failed, passed = failures(kind, name, catalog, data)
    assert failed == []
    # Data that are not here leave the checks that need none.
    assert passed >= (2 if kind == "dataset" else 11)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in TOYS.items() for name in names])
def test_toy_passes(kind: Kind, name: str, catalog: Catalog, data: DataContext) -> None:
    failed, passed = failures(kind, name, catalog, data)
    assert failed == []
    assert passed >= 8
