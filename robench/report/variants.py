"""The runs of a suite with variants, side by side."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

from robench.api.records import NORM_LABELS
from robench.errors import UsageError
from robench.report.csv_format import to_csv
from robench.report.json_format import to_document
from robench.report.listing import plain, print_listing
from robench.report.markdown import escape, markdown_table
from robench.report.sweeps import list_sweeps, meanings, rejecting_defenses, short_verdict
from robench.report.table import figures_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from robench.api.records import RunSummary
    from robench.report.sweeps import Sweep

_FORMATS = ("json", "csv", "markdown")
_MEANING = (
    "robust accuracy (correct or rejected) at the largest epsilon; rej: share rejected; clean: correct only; "
    "95 % Wilson intervals; all in %; robench report --run has the other epsilons, and the card of each defense"
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
    for note in _notes(summaries):
        console.print(plain(console, note), soft_wrap=not console.is_terminal)


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
    if form == "csv":
        return to_csv(*summaries.values())
    header, rows = _table(summaries)
    cells = [[escape(cell) for cell in row] for row in rows]
    notes = "\n".join(f"- {escape(note)}" for note in _notes(summaries))
    title = f"**{escape(_title(suite, summaries))}**"
    return f"{title}\n\n{markdown_table([escape(name) for name in header], cells)}\n\n{notes}\n"


def _title(suite: str, summaries: Mapping[str, RunSummary]) -> str:
    shared = {name: values for name, values in _settings(summaries).items() if len(set(values)) == 1}
    return f"suite {suite}: {', '.join(f'{name} {values[0]}'.strip() for name, values in shared.items())}"


def _settings(summaries: Mapping[str, RunSummary]) -> dict[str, list[str]]:
    """Return what the runs were asked for, by what to call it, a value for each run."""
    runs = [(summary.run, NORM_LABELS.get(summary.norm, summary.norm)) for summary in summaries.values()]
    return {
        "data": [run.dataset for run, _ in runs],
        "classifier": [run.classifier for run, _ in runs],
        "profile": [run.profile for run, _ in runs],
        "n": [f"{run.images:,}" for run, _ in runs],
        "seed": [str(run.seed) for run, _ in runs],
        "norm": [norm for _, norm in runs],
    }


def _table(summaries: Mapping[str, RunSummary]) -> tuple[list[str], list[list[str]]]:
    columns = {sweep.attack: (sweep.name, sweep.epsilons[-1]) for sweep in _sweeps(summaries)}
    differing = {name: values for name, values in _settings(summaries).items() if len(set(values)) > 1}
    rows = [
        [
            *(variant, defense, *(values[place] for values in differing.values())),
            *_cells(summary, defense, columns),
            *(_verdict(summary, defense), _run(summary)),
        ]
        for place, (variant, summary) in enumerate(summaries.items())
        for defense in summary.defenses
    ]
    headings = [f"{name} eps {epsilon}" for name, epsilon in columns.values()]
    return ["variant", "defense", *differing, "clean", *headings, "verdict", "run"], rows


def _sweeps(summaries: Mapping[str, RunSummary]) -> list[Sweep]:
    """Return the attacks, of each the sweep that went furthest: a run that was stopped may lack the last epsilons."""
    found: dict[str, Sweep] = {}
    for sweep in (sweep for summary in summaries.values() for sweep in list_sweeps(summary) if sweep.epsilons):
        before = found.get(sweep.attack)
        if before is None or Decimal(sweep.epsilons[-1]) > Decimal(before.epsilons[-1]):
            found[sweep.attack] = sweep
    return list(found.values())


def _cells(summary: RunSummary, defense: str, columns: Mapping[str, tuple[str, str]]) -> list[str]:
    rejects, images = defense in rejecting_defenses(summary), summary.run.images
    clean = next((row for row in summary.clean if row.defense == defense), None)
    results = {(row.attack, row.epsilon): row for row in summary.results if row.defense == defense}
    rows = [clean, *(results.get((attack, epsilon)) for attack, (_, epsilon) in columns.items())]
    return ["-" if row is None else " ".join(figures_of(row, images, rejects)) for row in rows]


def _verdict(summary: RunSummary, defense: str) -> str:
    return " ".join(short_verdict(summary, defense)) or "-"


def _run(summary: RunSummary) -> str:
    return summary.run.id if summary.complete else f"{summary.run.id} INCOMPLETE"


def _notes(summaries: Mapping[str, RunSummary]) -> list[str]:
    return [_MEANING, *dict.fromkeys(line for summary in summaries.values() for line in meanings(summary))]
