"""The formats of a report, by name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from robench.errors import UsageError
from robench.report.csv_format import to_csv
from robench.report.json_format import to_json
from robench.report.latex.table import to_latex
from robench.report.markdown import to_markdown
from robench.report.terminal import to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from robench.api.records import RunSummary

FORMATS: Mapping[str, Callable[[RunSummary], str]] = MappingProxyType(
    {"table": to_text, "json": to_json, "csv": to_csv, "markdown": to_markdown, "latex": to_latex}
)


def render(summary: RunSummary, format_name: str) -> str:
    """Render a run as text.

    A terminal deserves ``robench.report.terminal.print_summary`` instead of the format ``table``: it knows the width.

    Args:
        summary: What to render.
        format_name: One of ``FORMATS``.

    Returns:
        Text that ends with a line feed.

    Raises:
        UsageError: There is no such format.
    """
    if format_name not in FORMATS:
        message = f'unknown report format "{format_name}"'
        raise UsageError(message, f"choose one of {', '.join(FORMATS)}")
    return FORMATS[format_name](summary)


def render_all(summaries: Sequence[RunSummary], format_name: str) -> str:
    """Render several runs as one text: CSV with one header, JSON as one object, else one after another.

    Args:
        summaries: What to render, at least one.
        format_name: One of ``FORMATS``.

    Returns:
        Text that ends with a line feed.

    Raises:
        UsageError: There is no such format.
    """
    together = {"csv": to_csv, "json": to_json}
    if format_name in together:
        return together[format_name](*summaries)
    return "\n".join(render(summary, format_name) for summary in summaries)
