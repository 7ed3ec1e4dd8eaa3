"""Defenses that lie about themselves or break."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from robench.api import DefenseSpec, FitContext, ModelContext, NoParameters, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import nn


def build(context: ModelContext[NoParameters], networks: Mapping[str, nn.Module], *, kind: str) -> nn.Module:
    from robench_broken._torch import Broken

    if kind == "broken-build":
        message = "cannot be built"
        raise OSError(message)
    return Broken(context.require_classifier(), kind)


def fit(context: FitContext) -> float:
    for images in context.batches:
        images.fill_(float("nan"))
    return float("nan")


@hookimpl
def robench_defenses() -> Iterable[DefenseSpec[NoParameters]]:
    make = partial(DefenseSpec, summary="breaks", source="made up", parameters=NoParameters)
    return [
        make(
            name=name,
            build=partial(build, kind=name),
            rejecting=name == "broken-scoreless",
            fit=fit if name == "broken-fit" else None,
        )
        for name in (
            "broken-build",
            "broken-type",
            "broken-logits",
            "broken-infinite",
            "broken-scoreless",
            "broken-gradient",
            "broken-input",
            "broken-data",
            "broken-fit",
        )
    ]
