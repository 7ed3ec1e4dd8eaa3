"""Fresh virtual environments with robench and third-party distributions, really installed, nothing downloaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
THIRD_PARTY = ROOT / "tests" / "third_party"

# pip as a user has it, but for the network and what it would find there.
PIP = """#!/bin/sh
command=$1
shift
exec "{python}" -m pip "$command" --quiet --no-index --no-deps --no-build-isolation "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment and a folder to work in.

    Attributes:
        scripts: Where its programs are.
        folder: The current folder of what is run.
        variables: Of the processes.
    """

    scripts: Path
    folder: Path
    variables: Mapping[str, str]

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment."""
        program = shutil.which(command[0], path=self.variables["PATH"])
        assert program is not None, command
        environ = {**self.variables, **variables}
        return subprocess.run(
            [program, *command[1:]],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )

    def robench(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("robench", *arguments, **variables)

    def install(self, *folders: Path) -> None:
        result = self.run("pip", "install", *map(str, folders))
        assert result.returncode == 0, result.stderr

    def inside(self, folder: Path) -> Environment:
        """Return the same environment with another current folder, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        return replace(self, folder=folder)


def make_environment(folder: Path) -> Environment:
    """Make an environment that has robench, installed from this checkout, and sees everything else that is here."""
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    scripts = folder / "venv" / "bin"
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    outer = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (packages / "outer.pth").write_text("\n".join(outer) + "\n")
    pip = scripts / "pip"
    pip.write_text(PIP.format(python=scripts / "python"))
    pip.chmod(0o755)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ROBENCH_") and name not in {"PYTHONPATH", "VIRTUAL_ENV"}
    }
    variables = {
        **kept,
        "PATH": f"{scripts}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
        "ROBENCH_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    return Environment(scripts=scripts, folder=folder, variables=variables)
