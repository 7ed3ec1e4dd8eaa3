"""All defenses in one picture: per-image critical epsilons, and a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from robench.report.figures.marks import (
    ROWS,
    Layout,
    Row,
    Specification,
    by_name,
    epsilon_axis,
    facet,
    names,
    percentage,
    results,
    specify,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.exhibit import CriticalCurve
    from robench.api.records import RunSummary

_DARK_BELOW = 60
"""Accuracies, in %, on whose colour white text is legible."""


def critical_curves(curves: Sequence[CriticalCurve], norm: str, layout: Layout) -> Specification:
    """Draw the share of images that nothing has won within each epsilon, a line for each defense, with its band."""
    rows: list[Row] = [
        {
            "defense": one.defense,
            "epsilon": epsilon,
            "standing": 100 * one.standing[at],
            "low": 100 * one.low[at],
            "high": 100 * one.high[at],
            "n": one.n,
            "marked": at % -(-len(one.epsilons) // 8) == 0,
        }
        for one in curves
        for at, epsilon in enumerate(one.epsilons)
    ]
    colour, shape, dash = by_name("defense", [one.defense for one in curves], "defense")
    base = alt.Chart(ROWS).encode(x=epsilon_axis(norm), color=colour)
    y = percentage("standing", "images standing, %")
    tooltip = [
        alt.Tooltip("defense:N"),
        alt.Tooltip("epsilon:Q"),
        alt.Tooltip("standing:Q", format=".1f", title="standing, %"),
        alt.Tooltip("low:Q", format=".1f", title="95 % from"),
        alt.Tooltip("high:Q", format=".1f", title="to"),
        alt.Tooltip("n:Q", title="images"),
    ]
    layers = alt.LayerChart(
        layer=[
            base.mark_area(opacity=0.12, interpolate="step-after").encode(y=alt.Y("low:Q"), y2=alt.Y2("high:Q")),
            base.mark_line(interpolate="step-after", strokeWidth=2.2).encode(y=y, strokeDash=dash),
            base.transform_filter("datum.marked").mark_point(filled=True, opacity=1, size=50).encode(y=y, shape=shape),
            base.mark_point(filled=True, size=70).encode(y=y, opacity=alt.value(0), tooltip=tooltip),
        ]
    ).properties(width=layout.single, height=round(0.5 * layout.single))
    return specify(layers, rows)


def standing(curves: Sequence[CriticalCurve]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return what ``critical_curves`` shows as headers and rows; shares in %."""
    rows = [
        (one.defense, f"{epsilon:g}", str(one.n), *(f"{100 * share:.1f}" for share in shares))
        for one in curves
        for epsilon, *shares in zip(one.epsilons, one.standing, one.low, one.high, strict=True)
    ]
    return ("defense", "epsilon", "n", "standing, %", "from", "to"), rows


def heat_map(summary: RunSummary, layout: Layout) -> Specification:
    """Draw robust accuracy as a grid of defenses and attacks, a panel for each of at most three epsilons."""
    rows = results(summary)
    texts = sorted(set(names(rows, "text")), key=float)
    shown = list(dict.fromkeys((texts[0], texts[(len(texts) - 1) // 2], texts[-1])))
    kept: list[Row] = [{**row, "panel": f"epsilon {row['text']}"} for row in rows if row["text"] in shown]
    attacks = names(kept, "attack")
    cell = max(20, min(64, round(0.8 * layout.panel * layout.columns / (len(shown) * len(attacks)))))
    base = alt.Chart(ROWS).encode(
        x=alt.X("attack:N", title=None, sort=attacks, axis=alt.Axis(labelAngle=-40, grid=False)),
        y=alt.Y("defense:N", title=None, sort=list(summary.defenses), axis=alt.Axis(grid=False)),
    )
    squares = base.mark_rect().encode(
        color=alt.Color("accuracy:Q", title="robust accuracy, %", scale=alt.Scale(scheme="viridis", domain=[0, 100])),
        tooltip=[
            alt.Tooltip("defense:N"),
            alt.Tooltip("attack:N"),
            alt.Tooltip("knowledge:N"),
            alt.Tooltip("text:N", title="epsilon"),
            alt.Tooltip("accuracy:Q", format=".1f", title="robust accuracy, %"),
            alt.Tooltip("n:Q", title="images"),
        ],
    )
    numbers = base.mark_text().encode(
        text=alt.Text("accuracy:Q", format=".0f"),
        color=alt.condition(f"datum.accuracy < {_DARK_BELOW}", alt.value("white"), alt.value("black")),
    )
    layers = alt.LayerChart(layer=[squares, numbers]).properties(
        width=alt.Step(cell), height=alt.Step(max(18, round(0.6 * cell)))
    )
    return specify(facet(layers, "panel", [f"epsilon {text}" for text in shown], len(shown)), kept)
