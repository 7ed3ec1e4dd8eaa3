"""What a stress test demands and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(kw_only=True)
class Trial:
    """One line of the table.

    Attributes:
        name: What was done.
        demand: What must come of it.
        found: What came of it, in words.
        facts: The same in numbers.
        complaints: What was not as demanded; empty if all was.
    """

    name: str
    demand: str
    found: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def expect(self, held: bool, complaint: str) -> None:
        """Complain unless something held."""
        if not held:
            self.complaints.append(complaint)

    @property
    def passed(self) -> bool:
        """Whether all was as demanded."""
        return not self.complaints
