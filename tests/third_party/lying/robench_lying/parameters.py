"""Parameters of liars."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WrongDefault:
    scale: float = "wide"  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class Strength:
    strength: float = 1.0
