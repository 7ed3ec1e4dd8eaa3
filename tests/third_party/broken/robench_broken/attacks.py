"""Attacks that cheat or break."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

from robench.api import AttackContext, AttackSpec, NoParameters, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

BRIGHTEST = 0.366
"""One of the first sixty images of toy-bars, with seed 0, is brighter."""


def leave_ball(context: AttackContext[NoParameters]) -> Tensor:
    return (context.images + 2 * context.budget.epsilon).clamp(0, 1)


def leave_range(context: AttackContext[NoParameters]) -> Tensor:
    return context.images - context.budget.epsilon


def not_a_number(context: AttackContext[NoParameters]) -> Tensor:
    return context.images * float("nan")


def wrong_shape(context: AttackContext[NoParameters]) -> Tensor:
    return context.images[:1]


def move_the_original(context: AttackContext[NoParameters]) -> Tensor:
    context.images.add_(5 * context.budget.epsilon).clamp_(0, 1)
    return context.images


def deface_references(context: AttackContext[NoParameters]) -> Tensor:
    if not bool(context.references.images.isfinite().all()):
        message = "these references were defaced for the batch before"
        raise ValueError(message)
    context.references.images.fill_(float("nan"))
    return context.images


def crash(context: AttackContext[NoParameters]) -> Tensor:
    message = "this attack always crashes"
    raise ZeroDivisionError(message)


def leave(context: AttackContext[NoParameters]) -> Tensor:
    raise SystemExit(0)


def talk_and_switch_gradients_off(context: AttackContext[NoParameters]) -> Tensor:
    import torch

    print("this is no result")  # noqa: T201
    torch.set_grad_enabled(False)
    return context.images


def dawdle(context: AttackContext[NoParameters]) -> Tensor:
    time.sleep(0.4)
    return context.images


def die_of_the_brightest(context: AttackContext[NoParameters]) -> Tensor:
    if bool((context.images.mean((1, 2, 3)) > BRIGHTEST).any()):
        os.kill(os.getpid(), signal.SIGKILL)
    return context.images


ATTACKS: dict[str, Callable[[AttackContext[NoParameters]], Tensor]] = {
    "broken-ball": leave_ball,
    "broken-range": leave_range,
    "broken-nan": not_a_number,
    "broken-shape": wrong_shape,
    "broken-original": move_the_original,
    "broken-references": deface_references,
    "broken-crash": crash,
    "broken-exit": leave,
    "broken-manners": talk_and_switch_gradients_off,
    "broken-slow": dawdle,
    "broken-deadly": die_of_the_brightest,
}


@hookimpl
def robench_attacks() -> Iterable[AttackSpec[NoParameters]]:
    make = partial(AttackSpec, summary="breaks", source="made up", knowledge="naive", parameters=NoParameters)
    return [make(name=name, run=run) for name, run in ATTACKS.items()]
