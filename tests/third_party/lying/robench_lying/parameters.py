"""Parameters whose default is not what its type says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WrongDefault:
    scale: float = "wide"  # type: ignore[assignment]
