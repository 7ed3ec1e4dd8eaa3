"""Charts as files for a two-column paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import vl_convert

from robench.api.records import NORM_LABELS, UNRELIABLE
from robench.errors import UsageError
from robench.report.figures.catalogue import FIGURES
from robench.report.figures.marks import Layout
from robench.report.figures.reconstructions import draw_reconstructions
from robench.report.sweeps import count_outcomes

if TYPE_CHECKING:
    from robench.api.exhibit import Exhibit
    from robench.report.figures.marks import Specification

RECONSTRUCTIONS = "reconstructions"
NAMES = (*FIGURES, RECONSTRUCTIONS)
FORMATS = ("pdf", "svg", "png")

_DOTS_PER_INCH = 300
_POINTS_PER_INCH = 72
_FONT = "Arial, Helvetica, Liberation Sans, sans-serif"

# A page of two columns is about 7 inches wide, 504 points, and a column 3.35, 241 points; axes take a part of them.
_WIDE = Layout(panel=205, columns=2, single=210, choosing=False)

_INK = "#000000"
_STYLE: Specification = {
    "background": "white",
    "font": _FONT,
    "padding": 2,
    "axis": {
        "labelFontSize": 7,
        "titleFontSize": 8,
        "titleFontWeight": "normal",
        "labelColor": _INK,
        "titleColor": _INK,
        "gridColor": "#dddddd",
        "gridWidth": 0.5,
        "domainColor": _INK,
        "domainWidth": 0.6,
        "tickColor": _INK,
        "tickWidth": 0.6,
        "tickSize": 3,
    },
    "header": {"labelFontSize": 8, "labelFontWeight": "bold", "labelColor": _INK, "labelPadding": 3},
    "legend": {
        "orient": "bottom",
        "direction": "horizontal",
        "columns": 4,
        "labelFontSize": 7,
        "titleFontSize": 7,
        "titleFontWeight": "bold",
        "labelColor": _INK,
        "titleColor": _INK,
        "symbolSize": 35,
        "symbolStrokeWidth": 1.2,
        "gradientThickness": 6,
        "labelLimit": 140,
        "columnPadding": 8,
        "rowPadding": 1,
        "offset": 6,
    },
    "text": {"fontSize": 7},
    "facet": {"spacing": 12},
    "view": {"stroke": "transparent"},
}


def draw_figure(name: str, exhibit: Exhibit, form: str) -> bytes:
    """Draw one picture of a run for a paper.

    Args:
        name: One of ``NAMES``.
        exhibit: The run with what its pictures need.
        form: ``pdf``, ``svg`` or ``png``, the latter with 300 dots per inch.

    Returns:
        The content of a file.

    Raises:
        UsageError: If the run lacks what the picture shows.
    """
    if name == RECONSTRUCTIONS:
        svg = draw_reconstructions(exhibit)
        if form == "svg":
            return svg.encode()
        convert = vl_convert.svg_to_pdf if form == "pdf" else vl_convert.svg_to_png
        return bytes(convert(svg) if form == "pdf" else convert(svg, scale=_DOTS_PER_INCH / _POINTS_PER_INCH))
    figure = FIGURES[name]
    if not figure.has(exhibit):
        message = f"run {exhibit.summary.run.id} has nothing for the figure {name}: {figure.missing}"
        raise UsageError(message, "name another run, or another figure")
    specification = thinned({**figure.draw(exhibit, _WIDE), "config": _STYLE})
    if form == "svg":
        return str(vl_convert.vegalite_to_svg(specification)).encode()
    if form == "pdf":
        return bytes(vl_convert.vegalite_to_pdf(specification))
    return bytes(vl_convert.vegalite_to_png(specification, scale=_DOTS_PER_INCH / _POINTS_PER_INCH))


def caption_of(name: str, exhibit: Exhibit) -> str:
    """Return what must be said below a figure: how to read it, and of which run it is."""
    run = exhibit.summary.run
    told = (
        "Attacked images, what the attack changed, and the reconstruction as each class with its error; the defense "
        "classifies the framed one. A stochastic one draws afresh for the picture."
        if name == RECONSTRUCTIONS
        else FIGURES[name].caption
    )
    digests = [
        f"{label} {value[:12]}"
        for label, key in (("data", "data_digest"), ("classifier", "classifier_digest"))
        if isinstance(value := exhibit.summary.details.get(key), str)
    ]
    hashes = f"; SHA-256: {', '.join(digests)}" if digests else ""
    norm = NORM_LABELS.get(exhibit.summary.norm)
    return (
        f"{told} {run.dataset}, classifier {run.classifier}, profile {run.profile}, n = {run.images} images, "
        f"seed {run.seed}{f', {norm}' if norm else ''}; robench run {run.id}{hashes}.{_doubt(exhibit)}"
    )


def _doubt(exhibit: Exhibit) -> str:
    """Say that outcomes are missing, and name the defenses whose evaluation failed its diagnostics."""
    failed = [card for card in exhibit.summary.cards if card.verdict.startswith(UNRELIABLE)]
    told = "; ".join(f"{card.defense}{card.verdict.removeprefix(UNRELIABLE).split('; LESS')[0]}" for card in failed)
    summary = exhibit.summary
    lacking = "" if summary.complete else f" INCOMPLETE: {count_outcomes(summary):,} of {summary.planned:,} outcomes."
    return lacking + (f" {UNRELIABLE}, the evaluation failed its diagnostics: {told}." if told else "")


def thinned(part: Specification) -> Specification:
    """Return a chart with marks as large as a small print bears: half of the page's."""
    return {key: _thin(key, value) for key, value in part.items()}


def _thin(key: str, value: object) -> object:
    if key in {"datasets", "config"}:
        return value
    if isinstance(value, dict):
        return thinned(value)
    if isinstance(value, list):
        return [_thin("", item) for item in value]
    if key in {"size", "strokeWidth"} and isinstance(value, int | float):
        return value * (0.35 if key == "size" else 0.6)
    return value
