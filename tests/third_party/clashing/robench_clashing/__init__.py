"""Offers a built-in name and one of another distribution, both made to be noticed if they were used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api import DefenseSpec, ModelContext, NoParameters, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import nn


def build(context: ModelContext[NoParameters], networks: Mapping[str, nn.Module]) -> nn.Module:
    message = "the defense of the wrong distribution was built"
    raise RuntimeError(message)


@hookimpl
def robench_defenses() -> Iterable[DefenseSpec[NoParameters]]:
    return [
        DefenseSpec(name=name, summary="takes a name", source="made up", parameters=NoParameters, build=build)
        for name in ("none", "good-shade", "free-name")
    ]
