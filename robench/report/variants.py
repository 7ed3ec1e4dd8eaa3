"""The runs of a suite with variants, side by side."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING

from robench.api.records import NORM_LABELS, REJECTION
from robench.errors import UsageError
from robench.report.json_format import to_document
from robench.report.listing import plain, print_listing
from robench.report.markdown import escape, markdown_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from robench.api.records import CleanRow, ResultRow, RunSummary

_FORMATS = ("json", "csv", "markdown")
_MEANING = (
    "robust accuracy (correct or rejected) at the largest epsilon, rejected in brackets; clean: correct only; "
    "95 % Wilson intervals; all in %"
)


def print_variants(suite: str, summaries: Mapping[str, RunSummary], console: Console) -> None:
    """Print a row for every variant and defense; ``robench report --run`` has the rest.

    Args:
        suite: Its name.
        summaries: By variant, at least one.
        console: Where to.
    """
    console.print(plain(console, _title(suite, summaries), "bold"), soft_wrap=not console.is_terminal)
    console.print()
    header, rows = _table(summaries)
    print_listing(console, header, rows)
    console.print()
    console.print(plain(console, _MEANING), soft_wrap=not console.is_terminal)


def render_variants(suite: str, summaries: Mapping[str, RunSummary], form: str) -> str:
    """Render them as text that ends with a line feed.

    Args:
        suite: Its name.
        summaries: By variant, at least one.
        form: ``json``, ``csv`` or ``markdown``.

    Raises:
        UsageError: There is no such format.
    """
    if form not in _FORMATS:
        message = f"a suite with variants has no format {form}"
        raise UsageError(message, f"choose one of table, {', '.join(_FORMATS)}, or one run with --run")
    if form == "json":
        variants = {name: to_document(summary) for name, summary in summaries.items()}
        return json.dumps({"suite": suite, "variants": variants}, indent=2, allow_nan=False) + "\n"
    header, rows = _table(summaries)
    if form == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *rows])
        return text.getvalue()
    cells = [[escape(cell) for cell in row] for row in rows]
    title = f"**{escape(_title(suite, summaries))}**"
    return f"{title}\n\n{markdown_table([escape(name) for name in header], cells)}\n\n- {escape(_MEANING)}\n"


def _title(suite: str, summaries: Mapping[str, RunSummary]) -> str:
    first = next(iter(summaries.values()))
    run, norm = first.run, NORM_LABELS.get(first.norm, first.norm)
    return (
        f"suite {suite}: {run.dataset}, classifier {run.classifier}, profile {run.profile}, {run.images:,} images, "
        f"seed {run.seed}, norm {norm}"
    )


def _table(summaries: Mapping[str, RunSummary]) -> tuple[list[str], list[list[str]]]:
    attacks = [
        name
        for name in dict.fromkeys(attack for summary in summaries.values() for attack in summary.attacks)
        if name != REJECTION
    ]
    rows = [
        [variant, defense, *_cells(summary, defense, attacks), _run(summary)]
        for variant, summary in summaries.items()
        for defense in summary.defenses
    ]
    return ["variant", "defense", "clean", *attacks, "run"], rows


def _cells(summary: RunSummary, defense: str, attacks: list[str]) -> list[str]:
    clean = next((row for row in summary.clean if row.defense == defense), None)
    found = [_largest(summary, defense, attack) for attack in attacks]
    return [_accuracy(clean), *(_attacked(row) for row in found)]


def _largest(summary: RunSummary, defense: str, attack: str) -> ResultRow | None:
    rows = [row for row in summary.results if (row.defense, row.attack) == (defense, attack)]
    return max(rows, key=lambda row: Decimal(row.epsilon), default=None)


def _accuracy(row: CleanRow | ResultRow | None) -> str:
    if row is None:
        return "-"
    return f"{100 * row.accuracy:.1f} [{100 * row.accuracy_low:.1f}, {100 * row.accuracy_high:.1f}]"


def _attacked(row: ResultRow | None) -> str:
    return _accuracy(row) if row is None else f"{_accuracy(row)} ({100 * row.rejected / row.n:.1f}) at {row.epsilon}"


def _run(summary: RunSummary) -> str:
    return summary.run.id if summary.complete else f"{summary.run.id} INCOMPLETE"
