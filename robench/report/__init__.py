"""Summaries as terminal tables, JSON, CSV and Markdown.

``formats.render`` gives a run as text, ``terminal.print_summary`` shows it on a console, ``listing.print_listing``
shows any other table. ``table.build_grid`` decides what the table says, so that the terminal and Markdown agree.
"""

from robench.report.formats import FORMATS, render
from robench.report.listing import print_listing
from robench.report.terminal import print_summary

__all__ = ["FORMATS", "print_listing", "print_summary", "render"]
