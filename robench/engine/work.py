"""The work on one cell: what came of it and what it took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robench.api.records import ImageOutcome


@dataclass(kw_only=True)
class CellWork:
    """Outcomes of one cell that are new.

    Attributes:
        outcomes: Each of another image.
        seconds: Wall time.
        queries: Images that went through the defense during the search.
    """

    outcomes: list[ImageOutcome] = field(default_factory=list)
    seconds: float = 0.0
    queries: int = 0

    def add(self, other: CellWork) -> None:
        """Take over what another one has."""
        self.outcomes += other.outcomes
        self.seconds += other.seconds
        self.queries += other.queries
