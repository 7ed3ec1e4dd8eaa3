"""Starts processes quickly: one process that has loaded everything forks a child for each job.

A child is a process of its own in every respect; only the seconds that imports take are spared.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

JOBS = "tests.stress.jobs"
"""Module of the functions that children run."""


@dataclass(frozen=True, kw_only=True)
class Child:
    """A process under way.

    Attributes:
        pid: Its number.
        said: File of the lines that it has said.
    """

    pid: int
    said: Path

    def lines(self) -> list[str]:
        """Return the whole lines that it has said until now."""
        text = self.said.read_text(encoding="utf-8") if self.said.exists() else ""
        return text[: text.rfind("\n") + 1].splitlines()

    def kill(self) -> None:
        """Kill -9."""
        os.kill(self.pid, signal.SIGKILL)


class Nursery:
    """Forks children that do jobs.

    Args:
        folder: For what they say.
        environ: Their environment.
        path: Folders of Python modules that they see first.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], *path: Path) -> None:
        root = Path(__file__).parents[2]
        search = os.pathsep.join([str(root), *map(str, path), *filter(None, [environ.get("PYTHONPATH")])])
        self._folder, self._count = folder, 0
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.stress.nursery"],
            cwd=folder,
            env={**environ, "PYTHONPATH": search},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ended: dict[int, int] = {}

    def start(self, job: str, *arguments: object) -> Child:
        """Start a child that calls a function of ``jobs`` with a file for what it says and these arguments."""
        self._count += 1
        said = self._folder / f"said-{self._count}.txt"
        self._tell([job, str(said), *arguments])
        return Child(pid=self._hear("started"), said=said)

    def wait(self, child: Child) -> int:
        """Wait for the end of a child and return its exit status, negative for a signal."""
        if child.pid not in self._ended:
            self._tell([child.pid])
            self._ended[child.pid] = self._hear("ended")
        return self._ended[child.pid]

    def run(self, job: str, *arguments: object) -> list[str]:
        """Let a child do a job to its end and return what it has said."""
        child = self.start(job, *arguments)
        status = self.wait(child)
        if status != 0:
            message = f"{job} ended with {status}: {child.said.read_text(encoding='utf-8')}"
            raise RuntimeError(message)
        return child.lines()

    def _tell(self, line: list[Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    def _hear(self, expected: str) -> int:
        assert self._process.stdout is not None
        word, _, number = self._process.stdout.readline().strip().partition(" ")
        assert word == expected, f"the nursery said {word!r}"
        return int(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


def _serve() -> None:
    jobs = importlib.import_module(JOBS)
    for line in iter(sys.stdin.readline, ""):
        head, *arguments = json.loads(line)
        if isinstance(head, int):
            _, status = os.waitpid(head, 0)
            _say(f"ended {os.waitstatus_to_exitcode(status)}")
            continue
        pid = os.fork()
        if pid == 0:
            _do(getattr(jobs, head), *arguments)
        _say(f"started {pid}")


def _do(job: Callable[..., None], said: str, *arguments: object) -> None:
    status = 1
    handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        job(lambda text: os.write(handle, f"{text}\n".encode()), *arguments)
        status = 0
    except BaseException:  # noqa: BLE001 (the last that happens in this process)
        os.write(handle, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve()
