"""A defense that darkens images a little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api import DefenseSpec, ModelContext, NoParameters, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import nn

ROBENCH_API = 1


def build(context: ModelContext[NoParameters], networks: Mapping[str, nn.Module]) -> nn.Module:
    from robench_good._torch import Darkened

    return Darkened(context.require_classifier())


@hookimpl
def robench_defenses() -> Iterable[DefenseSpec[NoParameters]]:
    return [
        DefenseSpec(name="good-shade", summary="darkens images", source="made up", parameters=NoParameters, build=build)
    ]
