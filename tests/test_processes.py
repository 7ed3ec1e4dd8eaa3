"""A process is known to be gone, or not known to be: never the other way round."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from robench.processes import is_gone, this_process


def name_of(pid: int) -> str:
    host, place, _, _ = this_process().split()
    start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{host} {place} {pid} {start}"


def test_this_process_is_not_gone() -> None:
    assert not is_gone(this_process())
    assert not is_gone(f"{this_process()} and more")


def test_a_killed_process_is_gone_even_before_it_is_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = name_of(child.pid)
    assert not is_gone(name)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
    assert is_gone(name)
    child.communicate()
    assert is_gone(name)


def test_a_number_that_was_given_to_another_process_is_told_apart_by_its_start() -> None:
    host, place, number, start = this_process().split()
    assert is_gone(f"{host} {place} {number} {int(start) - 1}")


def test_another_boot_of_this_host_is_over_and_other_places_are_unknown() -> None:
    host, place, number, start = this_process().split()
    boot, _, space = place.partition("/")
    assert host == socket.gethostname()
    assert is_gone(f"{host} another-boot/{space} {number} {start}")
    assert not is_gone(f"{host} {boot}/pid:[1] 4194305 {start}")
    assert not is_gone(f"elsewhere {place} 4194305 {start}")
    assert not is_gone("")
    assert not is_gone("who knows")
