"""Which process is at work, in words by which another one can tell whether it still is."""

from __future__ import annotations

import os
import socket
from pathlib import Path

_FINISHED = ("Z", "X")
"""States of /proc: dead, but not yet asked how it ended."""


def this_process() -> str:
    """Return the name of this process: host, boot with name space, number and start, separated by blanks."""
    return f"{socket.gethostname()} {_place()} {os.getpid()} {_start(os.getpid())}"


def this_machine() -> str:
    """Return what is the same for two processes that see the same files: host, boot and name space."""
    return f"{socket.gethostname()} {_place()}"


def is_gone(process: str) -> bool:
    """Say whether a process has certainly ended.

    Args:
        process: As ``this_process`` named itself; more words may follow.

    Returns:
        False where it cannot be known, as of a process on another host or in another container.
    """
    host, place, number, start, *_ = [*process.split(), *[""] * 4]
    if host != socket.gethostname() or not number.isdecimal():
        return False
    boot, _, space = place.partition("/")
    own_boot, _, own_space = _place().partition("/")
    if boot != own_boot:
        return True  # the machine has started anew since
    if space != own_space:
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's: there is a process of that number
    return _start(int(number)) != start  # its number may have been given to another one


def _place() -> str:
    """Return what tells two boots of a host, and two containers on it, apart; blank where there is no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (no path, though it looks like one)
    except OSError:
        return "-/-"
    return f"{boot}/{space}"


def _start(number: int) -> str:
    """Return when a process started, in clock ticks since boot; ``gone`` if it has ended, ``-`` where none can say."""
    if not Path("/proc/self/stat").exists():
        return "-"
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "gone"
    fields = text.rpartition(")")[2].split()  # the name before may hold blanks and brackets
    return "gone" if fields[0] in _FINISHED else fields[19]
