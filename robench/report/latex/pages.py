"""How much of a table fits a page, so that LaTeX need not say that a float is too large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINES = 44.0
r"""Lines of \footnotesize on a page of an article at 12 pt, where fewest fit."""
_HEAD = 3.0
"""Lines that the rules and the header of a table take."""
_TITLE = 1.6
"""Lines of the title of a block and the rule above it."""
_LEAST = 8.0
"""Lines that a table has at least, however long its caption is."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What stands together for one defense.

    Attributes:
        lines: LaTeX, each a row of the tabular.
        height: Lines that they take; more than there are where a name wraps.
    """

    lines: tuple[str, ...]
    height: float


@dataclass(frozen=True, kw_only=True)
class Block:
    """Rows under a title, which is plain text."""

    title: str
    rows: tuple[Row, ...]

    @property
    def height(self) -> float:
        """Lines that it takes."""
        return _TITLE + sum(row.height for row in self.rows)


def fill_pages(blocks: Sequence[Block], caption: float, notes: float) -> list[list[Block]]:
    """Distribute blocks over tables; one that is torn has its title in both.

    Args:
        blocks: In their order, at least one.
        caption: Lines that the caption of the first table takes.
        notes: Lines below each table.
    """
    full = max(_LEAST, _LINES - _HEAD - notes)
    left = max(_LEAST, full - caption)
    pages: list[list[Block]] = [[]]
    for block in blocks:
        # The first block alone, that without attack, would leave the columns without width: it takes some of the next.
        if left < block.height <= full and (len(pages) > 1 or len(pages[0]) > 1):
            pages.append([])
            left = full
        title, rows = block.title, list(block.rows)
        while rows:
            if left < _TITLE + rows[0].height and pages[-1]:
                pages.append([])
                left = full
            left -= _TITLE
            taken: list[Row] = []
            while rows and (not taken or rows[0].height <= left):
                taken.append(rows.pop(0))
                left -= taken[-1].height
            pages[-1].append(Block(title=title, rows=tuple(taken)))
            title = f"{block.title} (continued)"
    return pages
