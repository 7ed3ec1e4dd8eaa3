"""The kits as a plugin author uses them, under pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from robench import testing
from robench.testing.checks import CHECKS

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """
from robench.testing import AttackConformance, ClassifierConformance, DatasetConformance, DefenseConformance

class TestBars(DatasetConformance):
    name = "toy-bars"

class TestLinear(ClassifierConformance):
    name = "toy-linear"
    dataset = "toy-bars"

class TestNoise(DefenseConformance):
    name = "toy-noise"
    parameters = {"scale": 0.1}
    shape = (1, 8, 8)
    classes = 4

class TestCorner(AttackConformance):
    name = "toy-corner"
    shape = (1, 8, 8)

class TestTooBright(DefenseConformance):
    name = "fits-and-calibrates-2"
    shape = (1, 8, 8)

class TestCrash(DefenseConformance):
    name = "builds"
"""


def run_python(*arguments: str, folder: Path, path: list[Path]) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ROBENCH_")}
    environ["PYTHONPATH"] = os.pathsep.join([*map(str, path), environ.get("PYTHONPATH", "")])
    environ |= {"ROBENCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


def test_kits_run_under_pytest(tmp_path: Path, toys_folder: Path, lying_folder: Path) -> None:
    (tmp_path / "test_plugins.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    options = ("-m", "pytest", "-rA", "-p", "no:cacheprovider", "--tb=short")
    done = run_python(*options, folder=tmp_path, path=[toys_folder, lying_folder])
    failed = {line.split(" ")[1] for line in done.stdout.splitlines() if line.startswith("FAILED")}
    assert failed == {
        "test_plugins.py::TestTooBright::test_fits_and_calibrates",
        "test_plugins.py::TestCrash::test_builds",
    }
    assert "it rejects 100% of fresh clean images" in done.stdout
    assert "PASSED test_plugins.py::TestBars::test_keeps_its_splits_apart" in done.stdout
    assert 'message = "a file is missing"' in done.stdout  # the plugin's own error keeps its traceback
    assert list((tmp_path / "cache").glob("**/*.safetensors")) == []


def test_each_check_is_a_test() -> None:
    kits = (
        testing.DatasetConformance,
        testing.ClassifierConformance,
        testing.DefenseConformance,
        testing.AttackConformance,
    )
    for kit in kits:
        tests = [name for name in vars(kit) if name.startswith("test_")]
        assert tests == [check.test for check in CHECKS[kit.kind]]


def test_importing_the_kits_loads_neither_torch_nor_pytest(tmp_path: Path) -> None:
    code = "import sys, robench.testing; print([name for name in ('torch', 'numpy', 'pytest') if name in sys.modules])"
    assert run_python("-c", code, folder=tmp_path, path=[]).stdout == "[]\n"
