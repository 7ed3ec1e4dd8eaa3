"""A run beside published figures, as text, Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING

from robench.api.records import CLEAN, UNRELIABLE
from robench.errors import UsageError
from robench.report.listing import plain, print_listing
from robench.report.markdown import escape, markdown_table
from robench.report.sweeps import attack_name, upper_bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rich.console import Console

    from robench.api.published import ComparedFigure, PublishedComparison, Quantity

HEADER = ("figure", "published", "this run", "difference", "expected", "verdict", "source")
_SHARES = ("accuracy", "worst accuracy", "adversarial proportion")
_CURVE = "Figure"
_MEANING = (
    "shares in %, differences in points; within: where a faithful reproduction should land; within error: only the "
    "95 % interval reaches there"
)


def published_rows(comparison: PublishedComparison) -> list[tuple[str, ...]]:
    """Return the rows under ``HEADER``: every figure of a table, and a row for each curve of a figure."""
    knowledge = comparison.knowledge
    tables = [
        _row(figure, knowledge) for figure in comparison.figures if not figure.published.source.startswith(_CURVE)
    ]
    points = [figure for figure in comparison.figures if figure.published.source.startswith(_CURVE)]
    singles = [_row(figure, knowledge) for figure in points if not figure.published.epsilon]
    curves = groupby(
        (figure for figure in points if figure.published.epsilon),
        key=lambda figure: (
            figure.published.source,
            figure.published.quantity,
            figure.published.defense,
            figure.published.attack,
        ),
    )
    return [*tables, *singles, *(_curve(tuple(figures), knowledge) for _, figures in curves)]


def published_notes(comparison: PublishedComparison) -> list[str]:
    """Return what is to be read below the rows."""
    words = {True: "holds", False: "does NOT hold", None: "cannot be told"}
    counts = dict.fromkeys(("within", "within error", "outside", "not judged"), 0)
    for figure in comparison.figures:
        counts[figure.verdict] += 1
    failed = [name for name, verdict in comparison.cards.items() if verdict.startswith(UNRELIABLE)]
    return [
        *([] if comparison.complete else ["INCOMPLETE: the run lacks outcomes; the command that began it goes on"]),
        *upper_bounds(comparison.knowledge.values()),
        *([f"{UNRELIABLE}: the evaluation of {', '.join(failed)} failed its own diagnostics"] if failed else []),
        _MEANING,
        "of all figures: "
        + ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        + f"; {comparison.unmatched} have no counterpart in this run",
        *(f"differs: {deviation}" for deviation in comparison.deviations),
        *(f"shape: {trait.claim}: {words[trait.holds]} ({trait.found})" for trait in comparison.traits),
    ]


def published_title(comparison: PublishedComparison) -> str:
    """Name the run and what it is compared with."""
    return (
        f"run {comparison.run} on {comparison.dataset} against {comparison.reference}: classifier "
        f"{comparison.classifier}, profile {comparison.profile}, {comparison.images:,} images, seed {comparison.seed}"
    )


def print_published(comparison: PublishedComparison, console: Console) -> None:
    """Print the comparison as a table that fits the console."""
    console.print(plain(console, published_title(comparison), "bold"), soft_wrap=not console.is_terminal)
    console.print()
    print_listing(console, HEADER, published_rows(comparison))
    console.print()
    for note in published_notes(comparison):
        console.print(plain(console, note), soft_wrap=not console.is_terminal)


def _to_text(comparison: PublishedComparison) -> str:
    from rich.console import Console

    text = io.StringIO()
    print_published(comparison, Console(file=text, force_terminal=False, color_system=None))
    return text.getvalue()


def _to_markdown(comparison: PublishedComparison) -> str:
    rows = [[escape(cell) for cell in row] for row in published_rows(comparison)]
    notes = "\n".join(f"- {escape(note)}" for note in published_notes(comparison))
    return "\n\n".join([f"**{escape(published_title(comparison))}**", markdown_table(HEADER, rows), notes]) + "\n"


def _to_json(comparison: PublishedComparison) -> str:
    return json.dumps(asdict(comparison), indent=2) + "\n"


def _to_csv(comparison: PublishedComparison) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = ("defense", "attack", "epsilon", "quantity", "value", "low", "high", "source")
    writer.writerow(
        [
            *("run", "dataset", "classifier", "profile", "seed", "complete", *names, "knowledge"),
            *("measured", "measured_low", "measured_high", "n", "difference", "verdict", "card"),
        ]
    )
    for figure in comparison.figures:
        published, measured = figure.published, figure.measured
        writer.writerow(
            [
                comparison.run,
                comparison.dataset,
                comparison.classifier,
                comparison.profile,
                comparison.seed,
                "yes" if comparison.complete else "no",
                *(getattr(published, name) for name in names),
                comparison.knowledge.get(published.attack, ""),
                measured.value,
                measured.low,
                measured.high,
                measured.n,
                figure.difference,
                figure.verdict,
                comparison.cards.get(published.defense, ""),
            ]
        )
    return buffer.getvalue()


PUBLISHED_FORMATS: Mapping[str, Callable[[PublishedComparison], str]] = MappingProxyType(
    {"table": _to_text, "json": _to_json, "csv": _to_csv, "markdown": _to_markdown}
)


def render_published(comparison: PublishedComparison, form: str) -> str:
    """Render the comparison as text that ends with a line feed.

    Raises:
        UsageError: It has no such format.
    """
    if form not in PUBLISHED_FORMATS:
        message = f"--against has no format {form}"
        raise UsageError(message, f"choose one of {', '.join(PUBLISHED_FORMATS)}")
    return PUBLISHED_FORMATS[form](comparison)


def _row(figure: ComparedFigure, knowledge: Mapping[str, str]) -> tuple[str, ...]:
    published, measured = figure.published, figure.measured
    quantity = published.quantity
    place = f" at {published.epsilon}" if published.epsilon else ""
    under = "" if published.attack == CLEAN else f" under {attack_name(published.attack, knowledge)}"
    what = "clean accuracy" if published.attack == CLEAN and quantity == "accuracy" else quantity
    expected = (
        ""
        if published.low is None or published.high is None
        else (f"{_shown(published.low, quantity)} to {_shown(published.high, quantity)}")
    )
    interval = f" [{_shown(measured.low, quantity)}, {_shown(measured.high, quantity)}]" if quantity in _SHARES else ""
    return (
        f"{published.defense}{under}: {what}{place}",
        _shown(published.value, quantity),
        f"{_shown(measured.value, quantity)}{interval}",
        _signed(figure.difference, quantity),
        expected,
        figure.verdict,
        published.source,
    )


def _curve(figures: tuple[ComparedFigure, ...], knowledge: Mapping[str, str]) -> tuple[str, ...]:
    """Sum up the points of one curve."""
    first = figures[0].published
    furthest = max(figures, key=lambda figure: abs(figure.difference))
    mean = sum(abs(figure.difference) for figure in figures) / len(figures)
    judged = [figure for figure in figures if figure.verdict != "not judged"]
    within, nearly = (sum(figure.verdict == verdict for figure in judged) for verdict in ("within", "within error"))
    verdict = f"{within} of {len(judged)} within" + (f", {nearly} within error" if nearly else "")
    points = f"{len(figures)} points" if len(figures) > 1 else "1 point"
    return (
        f"{first.defense} under {attack_name(first.attack, knowledge)}: {first.quantity}, {points}",
        _range(figure.published.value for figure in figures),
        _range(figure.measured.value for figure in figures),
        f"mean {100 * mean:.1f}, most {_signed(furthest.difference, first.quantity)} at {furthest.published.epsilon}",
        "",
        verdict if judged else "not judged",
        first.source,
    )


def _range(values: Iterable[float]) -> str:
    found = sorted(values)
    return f"{100 * found[0]:.1f} to {100 * found[-1]:.1f}"


def _shown(value: float, quantity: Quantity) -> str:
    return f"{100 * value:.1f}" if quantity in _SHARES else f"{value:g}"


def _signed(value: float, quantity: Quantity) -> str:
    return f"{100 * value:+.1f}" if quantity in _SHARES else f"{round(value, 6):+g}"
