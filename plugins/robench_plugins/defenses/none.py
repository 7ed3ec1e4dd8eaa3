"""No defense: the bare classifier, the baseline of every comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api import DefenseSpec, ModelContext, NoParameters, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import nn

ROBENCH_API = 1


def _build(context: ModelContext[NoParameters], networks: Mapping[str, nn.Module]) -> nn.Module:  # noqa: ARG001
    from robench_plugins.defenses._none_torch import Undefended

    return Undefended(context.require_classifier())


@hookimpl
def robench_defenses() -> Iterable[DefenseSpec[NoParameters]]:
    """Offer ``none``."""
    return [
        DefenseSpec(
            name="none",
            summary="the bare classifier",
            source="baseline",
            parameters=NoParameters,
            build=_build,
        ),
    ]
