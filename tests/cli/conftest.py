"""The program as a user starts it: a process of its own in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

TOY_RUN = (
    *("run", "--dataset", "toy-bars", "--classifier", "toy-linear", "--defense", "none", "--defense", "toy-detect"),
    *("--attack", "fgsm", "--epsilons", "0.1,0.3", "--images", "40", "--device", "cpu"),
)


@dataclass(frozen=True, kw_only=True)
class Program:
    """Starts robench.

    Attributes:
        folder: The current folder of the process.
        environ: Its environment.
        toy_run: Arguments of a run that takes seconds.
    """

    folder: Path
    environ: dict[str, str]

    toy_run: tuple[str, ...] = TOY_RUN

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "robench", *arguments],
            cwd=self.folder,
            env={**self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environ)
        out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def program(tmp_path: Path, toys_folder: Path, toy_cache: Path) -> Program:
    """robench with the toys installed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ROBENCH_")}
    # The processes run the robench that the tests import, also where PYTHONPATH puts another one before the installed.
    path = os.pathsep.join([str(toys_folder), *filter(None, [environ.get("PYTHONPATH")])])
    environ |= {"PYTHONPATH": path, "ROBENCH_CACHE": str(toy_cache), "OMP_NUM_THREADS": "1"}
    return Program(folder=tmp_path, environ=environ)
