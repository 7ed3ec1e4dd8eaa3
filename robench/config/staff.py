"""Who carries out a run: which executor, with how many workers, and for which part of the images."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robench.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robench.config.request import Overrides

EXECUTORS = ("local", "processes", "ray")

_MOST_A_CORE = 4
"""Workers of this machine for each of its cores, at most: more would only wait for each other, and need memory."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a run, of parts that cover it.

    Attributes:
        number: Which one, from 1.
        count: Of how many.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def resolve_staff(overrides: Overrides) -> Mapping[str, Any]:
    """Check what the flags say on who carries out a run. Outcomes do not depend on it, so no file has a say.

    Returns:
        Fields of the request.

    Raises:
        UsageError: If a value is invalid, or does not fit the others.
    """
    executor = overrides.executor or "local"
    if executor not in EXECUTORS:
        message = f"--executor: there is no {executor!r}"
        raise UsageError(message, suggestion(executor, EXECUTORS))
    if overrides.workers is not None and overrides.workers < 1:
        message = f"--workers: must be at least 1, not {overrides.workers}"
        raise UsageError(message)
    if executor == "local" and overrides.workers is not None:
        message = "--workers: --executor local has none, the process does the work itself"
        raise UsageError(message, "add --executor processes")
    if executor != "ray" and overrides.ray_address is not None:
        message = "--ray-address: only --executor ray goes to a cluster"
        raise UsageError(message, "add --executor ray, or leave it out")
    if overrides.ray_address not in {None, "auto"} and not re.fullmatch(r".+:\d{1,5}", overrides.ray_address or ""):
        message = f"--ray-address: {overrides.ray_address!r} is neither auto nor HOST:PORT"
        raise UsageError(message)
    most = _MOST_A_CORE * len(os.sched_getaffinity(0))
    if overrides.workers is not None and overrides.ray_address is None and overrides.workers > most:
        message = f"--workers {overrides.workers}: this machine has {len(os.sched_getaffinity(0))} cores"
        raise UsageError(message, f"ask for at most {most}, four for each; --ray-address takes other machines as well")
    if executor != "local" and overrides.trace is not None:
        message = f"--trace: with --executor {executor} the work is done in other processes, which are not traced"
        raise UsageError(message, "trace with --executor local")
    return {
        "executor": executor,
        "workers": overrides.workers,
        "ray_address": overrides.ray_address,
        "shard": None if overrides.shard is None else _part(overrides.shard),
    }


def _part(text: str) -> Part:
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        message = f"--shard: {text!r} is no part"
        raise UsageError(message, "write 3/8 for the third of eight")
    return Part(number=number, count=count)
