"""A defense that no catalog takes: its name is not kebab-case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api import DefenseSpec, NoParameters, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import nn

    from robench.api import ModelContext


def build(context: ModelContext[NoParameters], networks: Mapping[str, nn.Module]) -> nn.Module:
    return context.require_classifier()


@hookimpl
def robench_defenses() -> Iterable[DefenseSpec[NoParameters]]:
    return [
        DefenseSpec(name="Is_Offered", summary="lies", source="made up", parameters=NoParameters, build=build),
    ]
