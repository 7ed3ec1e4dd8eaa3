"""Executors as a user meets them: stopped by a signal, killed, asked for what there is not."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.executors.sharing import needs_ray

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.cli.conftest import Program

SLOW = (
    *("run", "--dataset", "toy-bars", "--classifier", "toy-linear", "--defense", "none", "--device", "cpu"),
    *("--attack", "broken-slow", "--epsilons", "0.3", "--images", "120", "--batch-size", "4", "--workers", "2"),
)
"""Thirty batches of 0.4 s."""

EXECUTORS = ["processes", pytest.param("ray", marks=needs_ray)]


@pytest.fixture
def slow(program: Program, broken_folder: Path) -> Program:
    """robench with an attack that takes its time."""
    program.environ["PYTHONPATH"] = os.pathsep.join([str(broken_folder), program.environ["PYTHONPATH"]])
    return program


def outcomes(program: Program) -> int:
    path = program.folder / "robench.db"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as database:
        try:
            (count,) = database.execute("SELECT count(*) FROM outcomes").fetchone()
        except sqlite3.OperationalError:  # the tables are just being made
            return 0
    return int(count)


def descendants(pid: int) -> set[int]:
    """Return the numbers of all processes that a process has started, and those that they have."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for word in path.read_text(encoding="ascii").split():
            found |= {int(word)} | descendants(int(word))
    return found


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it has not happened in time"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def is_agent(pid: int) -> bool:
    return b"Agent" in Path(f"/proc/{pid}/cmdline").read_bytes()


def start_and_wait(slow: Program, executor: str) -> tuple[subprocess.Popen[str], set[int]]:
    """Start a run and wait until some attacked images are stored; return it with all processes that it has."""
    process = slow.start(*SLOW, "--executor", executor)
    wait_for(lambda: outcomes(slow) > 120, 120)  # more than the clean ones
    assert process.poll() is None
    workers = descendants(process.pid)
    assert len(workers) >= 2
    return process, workers


@pytest.mark.slow
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_workers_within_ten_seconds(slow: Program, executor: str, number: signal.Signals) -> None:
    process, workers = start_and_wait(slow, executor)
    process.send_signal(number)
    begun = time.monotonic()
    _, err = process.communicate(timeout=60)
    wait_for(lambda: not any(map(is_alive, workers)), 10 - (time.monotonic() - begun))
    assert process.returncode == 128 + number, err
    assert "To go on: robench run" in err
    assert "Traceback" not in err
    with closing(sqlite3.connect(slow.folder / "robench.db")) as database:
        assert database.execute("SELECT status FROM runs").fetchall() == [("interrupted",)]
    rest = slow(*SLOW, "--executor", executor, "--json")
    assert rest.returncode == 0, rest.stderr
    assert json.loads(rest.stdout)["complete"]
    assert outcomes(slow) == 240


@pytest.mark.slow
@pytest.mark.parametrize("executor", EXECUTORS)
def test_workers_end_when_their_driver_is_killed(slow: Program, executor: str) -> None:
    process, workers = start_and_wait(slow, executor)
    workers -= {pid for pid in workers if is_agent(pid)}  # of Ray: they look for it for a minute
    process.kill()
    process.communicate(timeout=60)
    wait_for(lambda: not any(map(is_alive, workers)), 30)
    before = outcomes(slow)
    time.sleep(1)
    assert outcomes(slow) == before


def test_a_worker_too_many_for_the_machine_is_refused_at_once(program: Program) -> None:
    result = program(*program.toy_run, "--executor", "local", "--workers", "2")
    assert result.returncode == 2
    assert "--workers: --executor local has none" in result.stderr
    assert not (program.folder / "robench.db").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--executor", "processes", "--workers", "1000"), "--workers 1000: this machine has"),
        (("--executor", "ray", "--workers", "1000"), "--workers 1000: this machine has"),
        (("--executor", "ray", "--ray-address", "foo"), "--ray-address: 'foo' is neither auto nor HOST:PORT"),
    ],
)
def test_what_nobody_can_carry_out_is_refused_at_once(program: Program, flags: tuple[str, ...], message: str) -> None:
    result = program(*program.toy_run, *flags)
    assert result.returncode == 2
    assert message in result.stderr
    assert list(program.folder.iterdir()) == []
