"""A run as a table on a terminal, or as plain text in a pipe."""

from __future__ import annotations

import io
from textwrap import fill
from typing import TYPE_CHECKING

from robench.report.curves import LEVELS, draw_line
from robench.report.listing import natural_width, new_table, plain, print_table
from robench.report.table import build_grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.table import Table

    from robench.api.records import RunSummary
    from robench.report.table import Cell, Grid

_UNLIMITED = 1_000_000
_NAME_WIDTH = len("CONTEXT")
_LEAST_WIDTH = 40
"""Of a terminal in which curves are drawn: in a narrower one a defense has hardly a few characters."""


def print_summary(summary: RunSummary, console: Console) -> None:
    """Print a run as a table between its title and its notes.

    Where a terminal is too narrow, the pieces of a cell go below each other, then the defenses into several tables.
    Of many epsilons it shows a few and draws a curve over all of them, unless the terminal has no blocks to draw with.

    Args:
        summary: What to show.
        console: Where to, usually standard output. Without a terminal nothing is wrapped.
    """
    grid = build_grid(summary)
    _print_line(console, grid.title, "bold")
    for warning in grid.warnings:
        _print_line(console, warning, "bold red")
    for table in _tables(grid, console):
        console.print()
        print_table(console, table)
    console.print()
    if grid.curves and _draws(console):
        _print_line(
            console, f"curves: robust accuracy over all epsilons, from 0 ({LEVELS[0]}) to 100 % ({LEVELS[-1]})", "dim"
        )
    for note in grid.notes:
        _print_line(console, note, "dim")
    for card in grid.cards:
        console.print()
        _print_line(console, f"evaluation card of {card.defense}: {card.verdict}", "bold")
        for number, (name, text) in enumerate(card.lines, start=1):
            _print_line(console, f"{number:2} {name:<{_NAME_WIDTH}} {text}", "", indent=_NAME_WIDTH + 4)


def to_text(summary: RunSummary) -> str:
    """Render a run as a pipe would get it: without colour, nothing wrapped.

    Args:
        summary: What to render.

    Returns:
        Text that ends with a line feed.
    """
    from rich.console import Console

    text = io.StringIO()
    print_summary(summary, Console(file=text, force_terminal=False, color_system=None))
    return text.getvalue()


def _print_line(console: Console, text: str, style: str, indent: int = 0) -> None:
    """Print a text; a terminal wraps it, and indents all lines but the first where it has the room."""
    if console.is_terminal and indent < console.width // 2:
        text = fill(text, console.width, subsequent_indent=" " * indent, break_on_hyphens=False)
    console.print(plain(console, text, style), soft_wrap=not console.is_terminal)


def _tables(grid: Grid, console: Console) -> list[Table]:
    """Lay the defenses out in one table, or in as few as fit the width."""
    tables: list[Table] = []
    for per_table, limit in _layouts(len(grid.header) - 1):
        tables = list(_split(grid, console, per_table, limit))
        if not console.is_terminal or all(natural_width(console, table) <= console.width for table in tables):
            break
    return tables  # the last layout, if none fits: one defense in each table, wrapped by rich


def _layouts(defenses: int) -> Iterator[tuple[int, int]]:
    """Offer numbers of defenses per table and of characters per line of a cell, the most readable first."""
    yield defenses, _UNLIMITED
    yield defenses, len("100.0 [99.2, 100.0] rej 3.2")
    yield defenses, len("100.0 [99.2, 100.0]")
    for per_table in range(defenses, 0, -1):
        yield per_table, 0


def _split(grid: Grid, console: Console, per_table: int, limit: int) -> Iterator[Table]:
    for first in range(1, len(grid.header), per_table):
        columns = [0, *range(first, min(first + per_table, len(grid.header)))]
        headers = [grid.header[column] for column in columns]
        rows = [[_fold(row[column], limit) for column in columns] for row in grid.rows]
        if _draws(console):
            # As wide as all figures above them are: then they compare by eye, and make no table wider.
            width = min(
                max(len(line) for row in rows for line in row[place].split("\n")) for place in range(1, len(columns))
            )
            for curve in reversed(grid.curves):
                lines = [draw_line(curve.values[column - 1], width) for column in columns[1:]]
                rows.insert(curve.after + 1, [_fold(curve.label, limit), *lines])
        yield new_table(console, headers, rows, leading=int(limit < _UNLIMITED))


def _draws(console: Console) -> bool:
    return (
        console.is_terminal
        and not console.is_dumb_terminal
        and console.encoding.lower().startswith("utf")
        and console.width >= _LEAST_WIDTH
    )


def _fold(cell: Cell, limit: int) -> str:
    """Put the pieces of a cell on lines of at most ``limit`` characters, but at least one piece on each."""
    lines = [cell[0]]
    for piece in cell[1:]:
        joined = f"{lines[-1]} {piece}"
        if len(joined) <= limit:
            lines[-1] = joined
        else:
            lines.append(piece)
    return "\n".join(lines)
