"""What a plugin is checked on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SHAPES = ((1, 28, 28), (3, 32, 32))
"""Shapes that are tried in turn where none is given: a plugin may refuse a shape with ``UsageError``."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a plugin is checked on.

    Attributes:
        parameters: Of the plugin, as in benchmarks.toml; the others keep their defaults.
        shape: Channels, height and width of the made-up images; the first of ``SHAPES`` that fits if None.
        classes: Number K of made-up classes, at least 2.
        profile: ``quick``, ``fast`` or ``paper``. Networks are trained for one epoch in any case.
        dataset: Name of an installed data set to take some hundred images of, instead of the made-up task.
    """

    parameters: Mapping[str, object] = field(default_factory=dict)
    shape: tuple[int, int, int] | None = None
    classes: int = 10
    profile: str = "quick"
    dataset: str | None = None

    @property
    def shapes(self) -> tuple[tuple[int, int, int], ...]:
        """The shapes to try."""
        return SHAPES if self.shape is None else (self.shape,)
