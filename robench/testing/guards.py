"""Watches what a plugin does to the process around it."""

from __future__ import annotations

import contextlib
import io
import os
import random
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from robench.api import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_STATE: Mapping[str, tuple[Callable[[], object], Callable[..., object]]] = {
    "torch's random generator": (torch.get_rng_state, torch.set_rng_state),
    "numpy's random generator": (np.random.get_state, np.random.set_state),
    "the random generator of the standard library": (random.getstate, random.setstate),
    "whether gradients are recorded": (torch.is_grad_enabled, torch.set_grad_enabled),
    "torch's default number format": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's number of threads": (torch.get_num_threads, torch.set_num_threads),
    "whether torch insists on deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
}


@contextmanager
def restored() -> Iterator[None]:
    """Put global state back at the end."""
    before = {name: get() for name, (get, _) in _STATE.items()}
    try:
        yield
    finally:
        for name, (_, put) in _STATE.items():
            put(before[name])


@contextmanager
def untouched(who: str) -> Iterator[None]:
    """Refuse that global state changes. The generators are seeded before, lest a seed that a plugin sets is there.

    Raises:
        PluginError: If so.
    """
    disturb(_UNUSUAL_SEED)
    before = {name: get() for name, (get, _) in _STATE.items()}
    yield
    changed = [name for name, (get, _) in _STATE.items() if not _same(get(), before[name])]
    if changed:
        message = f"{who} changed {' and '.join(changed)}"
        raise PluginError(message, "draw from the ImageRandom that it is given, and leave global state alone")


@contextmanager
def silent(who: str) -> Iterator[None]:
    """Refuse output on stdout, which is for results.

    Raises:
        PluginError: If there is some.
    """
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        yield
    if printed.getvalue():
        message = f"{who} printed {printed.getvalue()[:60]!r}"
        raise PluginError(message, "use warnings or logging: stdout is for results")


def disturb(seed: int) -> None:
    """Seed the global generators, so that whatever depends on them shows."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (the global one is meant)
    random.seed(seed)


class Watch:
    """What was done to files and network.

    Attributes:
        written: Files and folders that were made, written, renamed or removed.
        connected: Attempts to reach the network. None of them gets through.
    """

    def __init__(self) -> None:
        self.written: list[Path] = []
        self.connected: list[str] = []


_UNUSUAL_SEED = 918_273_645
_CHANGES = frozenset({"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"})
_CONNECTIONS = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


@contextmanager
def watched() -> Iterator[Watch]:
    """Write down what Python code does to files, and keep it from the network.

    Bytecode that an import leaves beside a module does not count.
    """
    watch = Watch()
    active = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if not active:
            return  # a hook cannot be taken away again
        if event in _CONNECTIONS:
            watch.connected.append(f"{event} {arguments[1:] or arguments}")
            message = "no network while a data set is checked"
            raise ConnectionRefusedError(message)
        if event in _CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING):
            _note(watch, arguments[0])

    sys.addaudithook(hook)
    try:
        yield watch
    finally:
        active = False


def _note(watch: Watch, path: object) -> None:
    if isinstance(path, (str, bytes, os.PathLike)):
        place = Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 (resolving would open what it looks at)
        if "__pycache__" not in place.parts and place.parts[:2] != ("/", "dev"):
            watch.written.append(place)


def _same(left: object, right: object) -> bool:
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return np.array_equal(left, right)
    return left == right
