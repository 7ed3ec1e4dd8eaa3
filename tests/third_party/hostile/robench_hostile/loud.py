"""Works, but talks on every channel, at import and at work."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from robench.api import AttackContext, AttackSpec, NoParameters, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


def talk(when: str) -> None:
    print(f"printed {when}")  # noqa: T201
    os.write(1, f"written {when}\n".encode())
    subprocess.run(["echo", f"echoed {when}"], check=True)


talk("at import")


def run(context: AttackContext[NoParameters]) -> Tensor:
    talk("at work")
    return context.images


@hookimpl
def robench_attacks() -> Iterable[AttackSpec[NoParameters]]:
    return [
        AttackSpec(
            name="loud",
            summary="talks",
            source="made up",
            knowledge="naive",
            parameters=NoParameters,
            run=run,
        )
    ]
