"""The page of a run: text by a template, charts as specifications that a script on the page draws."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from markupsafe import Markup

from robench.api.records import NORM_LABELS, REJECTION
from robench.report.figures.catalogue import FIGURES
from robench.report.figures.marks import ALL, PAGE, names, results
from robench.report.figures.outcomes import headline
from robench.report.html.gallery import gallery_rows
from robench.report.html.rendering import read_part, render_page
from robench.report.table import build_grid

if TYPE_CHECKING:
    from robench.api.exhibit import Exhibit
    from robench.api.records import Finding
    from robench.report.figures.catalogue import Figure

_REPLAY = "replay"


def to_html(exhibit: Exhibit, library: str) -> str:
    """Render a run as one self-contained page, which asks nothing of the network.

    Args:
        exhibit: The run with what its pictures need.
        library: From ``robench.report.html.library``.

    Returns:
        HTML that ends with a line feed; to be written as UTF-8.
    """
    summary = exhibit.summary
    attacks = names(results(summary), "attack")
    figures = [
        {
            "name": name,
            "figure": figure,
            "specification": _specification(figure, exhibit),
            "choices": _choices(figure, attacks),
        }
        for name, figure in FIGURES.items()
        if figure.has(exhibit)
    ]
    return render_page(
        "page.html.j2",
        scripts=(library, read_part("page.js")),
        exhibit=exhibit,
        summary=summary,
        run=summary.run,
        results=[row for row in summary.results if row.attack != REJECTION],
        rejection=REJECTION,
        doubts=_doubts(exhibit),
        norm=NORM_LABELS.get(summary.norm, ""),
        grid=build_grid(summary),
        figures=figures,
        lacking=[figure for figure in FIGURES.values() if not figure.has(exhibit)],
        notes=exhibit.notes,
        no_specimens=exhibit.no_specimens,
        gallery=gallery_rows(exhibit.specimens),
        replay=_replay(exhibit),
    )


def _doubts(exhibit: Exhibit) -> list[tuple[str, Finding]]:
    """Return what did not pass, with its defense, the worst first."""
    found = [(defense, finding) for defense, own in exhibit.findings.items() for finding in own]
    return [pair for status in ("FAIL", "WARN") for pair in found if pair[1].status == status]


def _choices(figure: Figure, attacks: list[str]) -> list[str]:
    """Return what the reader may set the parameter ``attack`` to, what it is first."""
    if figure.choosing == "highlight":
        return [ALL, *attacks]
    first = headline(attacks)
    return [first, *(name for name in attacks if name != first)] if figure.choosing else []


def _replay(exhibit: Exhibit) -> list[str]:
    """Return the commands that repeat what the page shows; runs of an older robench have one less."""
    run, asked = exhibit.summary.run, exhibit.summary.details.get(_REPLAY)
    commands = [asked] if isinstance(asked, str) else []
    if exhibit.specimens:
        commands += [
            f"robench replay --run {run.id} --defense {name}"
            for name in dict.fromkeys(specimen.defense for specimen in exhibit.specimens)
        ]
    return commands


def _specification(figure: Figure, exhibit: Exhibit) -> Markup:
    """Return a chart as JSON that cannot end the script element it stands in."""
    text = json.dumps(figure.draw(exhibit, PAGE), separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704
