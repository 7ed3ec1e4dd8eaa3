"""Plain tables on a console, of plugins or of runs, which never lose text.

rich is imported inside the functions: it takes 60 ms, and JSON and CSV do without.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_SHORTEST = (8, 4, 1)
"""To how many letters columns of long words shrink: all to the first, if need be, before one shrinks to the next."""


def print_listing(console: Console, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of text.

    Args:
        console: Where to. A terminal wraps what is too wide; a file or a pipe gets every row on one line.
        headers: Of the columns.
        rows: Cells as they shall be read, not as rich markup; as many as there are headers.

    Raises:
        ValueError: A row has more or fewer cells than there are headers.
    """
    for row in rows:
        if len(row) != len(headers):
            message = f"a row of {len(row)} cells under {len(headers)} headers: {row}"
            raise ValueError(message)
    table = new_table(console, headers, rows)
    if console.is_terminal:
        _narrow(console, table)
    print_table(console, table)


def new_table(console: Console, headers: Sequence[str], rows: Sequence[Sequence[str]], *, leading: int = 0) -> Table:
    """Build a table in the style of all of robench's.

    Args:
        console: Where it will be printed.
        headers: Of the columns.
        rows: Cells; a line feed in one is kept.
        leading: Number of empty lines between rows.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), leading=leading)
    for header in headers:
        table.add_column(plain(console, header), overflow="fold")
    for row in rows:
        table.add_row(*(plain(console, cell) for cell in row))
    return table


def plain(console: Console, text: str, style: str = "") -> Text:
    """Take text as it is, without markup or control characters; spell out what the console's encoding lacks."""
    from rich.text import Text

    text = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
    return Text(text.encode(console.encoding, "backslashreplace").decode(console.encoding), style)


def print_table(console: Console, table: Table) -> None:
    """Print a table as wide as a terminal is, or as wide as it wants to be where there is none."""
    from rich.segment import Segments

    # A pipe has no width. Printing with a larger one is no way out, since rich takes the console's if that is less.
    width = console.width if console.is_terminal else natural_width(console, table)
    lines = console.render(table, console.options.update_width(width))
    console.print(Segments(lines), end="", crop=False)


def _narrow(console: Console, table: Table) -> None:
    """Make the widest columns narrower until a table fits, below their longest word only where there is no way out.

    Left alone, rich goes on until words break in columns that have but one word. Here the column of the longest word
    breaks, most often one of paths, before any other.
    """
    from rich.measure import Measurement

    unlimited = console.options.update_width(1_000_000)
    sizes = [
        [Measurement.get(console, unlimited, cell) for cell in (column.header, *column.cells)]
        for column in table.columns
    ]
    least = [max(size.minimum for size in column) for column in sizes]
    widths = [max(size.maximum for size in column) for column in sizes]
    excess = natural_width(console, table) - console.width
    for _ in range(min(excess, sum(widths) - sum(least))):
        able = [place for place, width in enumerate(widths) if width > least[place]]
        widths[max(able, key=widths.__getitem__)] -= 1
        excess -= 1
    longest_first = sorted(range(len(least)), key=least.__getitem__, reverse=True)
    for shortest, place in product(_SHORTEST, longest_first):
        taken = max(0, min(excess, widths[place] - shortest))
        widths[place] -= taken
        excess -= taken
    if excess > 0:
        return  # there are too many columns: as well as rich can
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width


def natural_width(console: Console, table: Table) -> int:
    """Measure the number of columns a table needs to wrap nothing."""
    from rich.measure import Measurement

    unlimited = console.options.update_width(1_000_000)
    return Measurement.get(console, unlimited, table).maximum
