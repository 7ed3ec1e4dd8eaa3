"""Ctrl-C and termination end the program within seconds, whatever it is waiting for."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Program

STUCK = """
import sqlite3, sys
from robench.cli import main, stopping
def stuck():
    print("stuck", flush=True)
    waiting = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
    waiting.execute("BEGIN IMMEDIATE")  # in C, where no handler of Python's runs
main.app = stuck
main.main()
"""


def stopped_within(process: subprocess.Popen[str], number: signal.Signals, seconds: float) -> str:
    process.send_signal(number)
    begun = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - begun < seconds
    assert process.returncode == 128 + number, err
    return err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wait_in_c_is_ended_by_the_watch(program: Program, number: signal.Signals) -> None:
    path = program.folder / "locked.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN EXCLUSIVE")
        process = subprocess.Popen(
            [sys.executable, "-c", STUCK, str(path)],
            env=program.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "stuck\n"
        err = stopped_within(process, number, 5)
    assert "To go on: robench" in err
    assert "Traceback" not in err


def test_a_run_that_waits_for_another_writer_stops(program: Program) -> None:
    program(*program.toy_run)
    with closing(sqlite3.connect(program.folder / "robench.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        process = program.start(*program.toy_run, "--images", "60")
        time.sleep(8)  # it has opened the store, and waits for 30 s
        assert process.poll() is None
        err = stopped_within(process, signal.SIGTERM, 5)
        other.execute("ROLLBACK")
    assert "To go on: robench run" in err
    assert program(*program.toy_run, "--images", "60").returncode == 0


def test_a_download_that_hangs_stops(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        reached = threading.Event()
        held: list[socket.socket] = []

        def accept() -> None:
            held.append(server.accept()[0])
            reached.set()

        threading.Thread(target=accept, daemon=True).start()
        proxy = f"http://127.0.0.1:{server.getsockname()[1]}"
        cache = str(program.folder / "cache")
        process = program.start(
            "run", "--dataset", "cifar10", ROBENCH_CACHE=cache, HTTPS_PROXY=proxy, https_proxy=proxy
        )
        assert reached.wait(60)
        err = stopped_within(process, signal.SIGINT, 5)
        held[0].close()
    assert "To go on: robench run --dataset cifar10" in err


TOGETHER = """
import os, signal, time
from robench.cli import main
def stopped_twice():
    both = (signal.SIGINT, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, both)
    for number in both:
        os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
    time.sleep(60)
main.app = stopped_twice
main.main()
"""

DEAF = """
import time
from robench.cli import main
def deaf():
    while True:
        try:
            print("deaf", flush=True)
            time.sleep(60)
        except BaseException:
            print("heard", flush=True)
main.app = deaf
main.main()
"""


def started(program: Program, script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        env=program.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_signals_that_come_together_are_one(program: Program) -> None:
    _, err = (process := started(program, TOGETHER)).communicate(timeout=60)
    assert process.returncode == 130
    assert "To go on: robench" in err
    assert "Error" not in err


def test_a_later_signal_ends_the_process_at_once(program: Program) -> None:
    process = started(program, DEAF)
    assert process.stdout is not None
    assert process.stdout.readline() == "deaf\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "heard\n"
    time.sleep(1.2)
    stopped_within(process, signal.SIGTERM, 1)
