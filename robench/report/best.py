"""Which defenses of a column a table may print in bold."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.records import CleanRow, ResultRow


def best_defenses(rows: Sequence[CleanRow | ResultRow]) -> frozenset[str]:
    """Return who is best, with all whom the intervals do not tell from the best.

    Intervals that do not overlap are stricter than a test would be, and a reader can check them in the table itself.

    Args:
        rows: Of one attack at one epsilon, a row for each defense that may win.

    Returns:
        Nobody if there are not two to compare, or if they all tie.
    """
    if not rows:
        return frozenset()
    top = max(rows, key=lambda row: (row.accuracy, row.accuracy_low))
    tied = frozenset(row.defense for row in rows if row.accuracy_high >= top.accuracy_low)
    return tied if len(tied) < len(rows) else frozenset()
