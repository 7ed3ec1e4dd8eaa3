"""A run as Markdown, for a README, an issue or a paper's repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.report.table import build_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.records import Card, RunSummary

_ESCAPES = str.maketrans({letter: f"\\{letter}" for letter in "\\`*_<|"})


def to_markdown(summary: RunSummary) -> str:
    """Render a run as a GitHub-flavoured Markdown table between its title and its notes.

    Args:
        summary: What to render.

    Returns:
        Markdown whose source is aligned as well, ending with a line feed.
    """
    grid = build_grid(summary)
    rows = [[escape(" ".join(cell)) for cell in row] for row in grid.rows]
    parts = [
        f"**{escape(grid.title)}**",
        *(f"**{escape(warning)}**" for warning in grid.warnings),
        markdown_table([escape(name) for name in grid.header], rows),
        "\n".join(f"- {escape(note)}" for note in grid.notes),
        *(_card(card) for card in grid.cards),
    ]
    return "\n\n".join(parts) + "\n"


def _card(card: Card) -> str:
    title = f"**Evaluation card of {escape(card.defense)}: {escape(card.verdict)}**"
    lines = (f"{number}. {name}: {escape(text)}" for number, (name, text) in enumerate(card.lines, start=1))
    return "\n".join([title, "", *lines])


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align the cells of a table, which are Markdown already; no line feed at the end."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(_line(cells, widths) for cells in (header, rule, *rows))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def escape(text: str) -> str:
    """Keep text from being taken for Markdown."""
    return text.translate(_ESCAPES)
