"""Offers a name that nobody could type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api import AttackSpec, NoParameters, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable


@hookimpl
def robench_attacks() -> Iterable[AttackSpec[NoParameters]]:
    return [
        AttackSpec(
            name="Bad Name",
            summary="has a bad name",
            source="made up",
            knowledge="naive",
            parameters=NoParameters,
            run=lambda context: context.images,
        )
    ]
