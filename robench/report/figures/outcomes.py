"""How images end, stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from robench.api.records import ADAPTIVE, WORST_CASE
from robench.report.figures.marks import (
    OUTCOME_COLOURS,
    ROWS,
    Layout,
    Row,
    Specification,
    epsilon_title,
    facet,
    names,
    results,
    specify,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.records import RunSummary

_PAGE_HEIGHT = 450
"""Of all panels below each other on paper, in points, as long as they remain legible."""


def outcome_areas(summary: RunSummary, layout: Layout) -> Specification:
    """Draw how images end against epsilon, stacked: correct, rejected, wrong.

    On a page a panel for each defense shows one attack, that of the parameter ``attack``; on paper there is a row of
    panels for each attack.
    """
    found = results(summary)
    rows: list[Row] = [
        {
            "defense": row["defense"],
            "attack": row["attack"],
            "epsilon": row["text"],
            "outcome": outcome,
            "share": row[outcome],
            "order": order,
            "n": row["n"],
        }
        for row in found
        for order, outcome in enumerate(OUTCOME_COLOURS)
    ]
    texts = sorted(set(names(found, "text")), key=float)
    scale = alt.Scale(domain=list(OUTCOME_COLOURS), range=list(OUTCOME_COLOURS.values()))
    bars = (
        alt.Chart(ROWS)
        .mark_bar()
        .encode(
            x=alt.X(
                "epsilon:N",
                title=epsilon_title(summary.norm),
                sort=texts,
                scale=alt.Scale(paddingInner=0.08),
                axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=8),
            ),
            y=alt.Y("share:Q", title="share of images, %", stack="zero", scale=alt.Scale(domain=[0, 100])),
            color=alt.Color("outcome:N", scale=scale, legend=alt.Legend(title="from below", symbolType="square")),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("defense:N"),
                alt.Tooltip("attack:N"),
                alt.Tooltip("epsilon:N"),
                alt.Tooltip("outcome:N"),
                alt.Tooltip("share:Q", format=".1f", title="share, %"),
                alt.Tooltip("n:Q", title="images"),
            ],
        )
    )
    attacks = names(found, "attack")
    if layout.choosing:
        shown = bars.properties(width=layout.panel, height=layout.height(0.5)).transform_filter(
            "datum.attack == attack"
        )
        chart = facet(shown, "defense", summary.defenses, layout.columns)
        return specify(chart.add_params(alt.param(name="attack", value=headline(attacks))), rows)
    width = max(60, round(layout.panel * layout.columns / len(summary.defenses)) - 30)
    grid = bars.properties(
        width=width, height=max(50, min(layout.height(0.5), round(_PAGE_HEIGHT / len(attacks))))
    ).facet(
        column=alt.Column("defense:N", title=None, sort=list(summary.defenses)),
        row=alt.Row("attack:N", title=None, sort=attacks),
    )
    return specify(grid, rows)


def headline(attacks: Sequence[str]) -> str:
    """Return the attack to begin with: the ensemble that is the headline, else the last one."""
    return next((name for name in (ADAPTIVE, WORST_CASE) if name in attacks), attacks[-1] if attacks else "")
