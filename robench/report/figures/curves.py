"""Accuracy and rejections against epsilon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from robench.report.figures.marks import (
    ALL,
    ROWS,
    Layout,
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

    from robench.api.records import RunSummary
    from robench.report.figures.marks import Row

_CHOSEN = f"attack == '{ALL}' || attack == datum.attack"
_FAINT = 0.08
_DASHES = {"adaptive": [1, 0], "naive": [5, 3], "oblivious": [1, 2]}
"""Of lines, by what the attack knows."""


def accuracy_curves(summary: RunSummary, layout: Layout) -> Specification:
    """Draw robust accuracy against epsilon, a panel for each defense and a line for each attack.

    Bands are 95 % Wilson intervals. A hollow diamond marks the smallest epsilon at which a sweep is at its worst,
    unless it is alike at all. Attacks that know the
    defense are thick solid lines, others thin and dashed.

    Source: the layout of Wester & Thisted (2020), Figure 7.
    """
    rows = results(summary)
    colour, shape, _ = by_name("attack", names(rows, "attack"), "attack")
    tooltip = [
        alt.Tooltip("defense:N"),
        alt.Tooltip("attack:N"),
        alt.Tooltip("knowledge:N"),
        alt.Tooltip("text:N", title="epsilon"),
        alt.Tooltip("accuracy:Q", format=".1f", title="robust accuracy, %"),
        alt.Tooltip("low:Q", format=".1f", title="95 % from"),
        alt.Tooltip("high:Q", format=".1f", title="to"),
        alt.Tooltip("n:Q", title="images"),
    ]
    shown, band = (
        alt.condition(_CHOSEN, alt.value(most), alt.value(least)) for most, least in ((1, _FAINT), (0.15, 0))
    )
    base = alt.Chart(ROWS).encode(x=epsilon_axis(summary.norm), color=colour)
    y = percentage("accuracy", "robust accuracy, %")
    layers = alt.LayerChart(
        layer=[
            base.mark_area().encode(y=alt.Y("low:Q"), y2=alt.Y2("high:Q"), opacity=band),
            base.mark_line().encode(y=y, opacity=shown, detail="attack:N", **_strokes(rows, layout)),
            base.transform_filter("datum.marked")
            .mark_point(filled=True, size=40)
            .encode(y=y, shape=shape, opacity=shown),
            *(
                base.transform_filter("datum.worst")
                .mark_point(shape="diamond", size=170, strokeWidth=1.8, filled=False)
                .encode(y=y, opacity=shown)
                for _ in [row for row in rows if row["worst"]][:1]  # a layer without any row has no axis
            ),
            # Last, hence on top: what the pointer finds.
            base.mark_point(filled=True, size=70).encode(y=y, opacity=alt.value(0), tooltip=tooltip),
        ]
    ).properties(width=layout.panel, height=layout.height(0.62))
    chart = facet(layers, "defense", summary.defenses, layout.columns)
    return specify(chart.add_params(alt.param(name="attack", value=ALL)), rows)


def proportion_curves(summary: RunSummary, layout: Layout) -> Specification:
    """Draw the share of images with the label "adversarial" against epsilon, with the lines of ``accuracy_curves``.

    Source: Wester & Thisted (2020), Figure 8.
    """
    rows = results(summary)
    colour, shape, _ = by_name("attack", names(rows, "attack"), "attack")
    shown = alt.condition(_CHOSEN, alt.value(1), alt.value(_FAINT))
    base = alt.Chart(ROWS).encode(x=epsilon_axis(summary.norm), color=colour)
    y = percentage("rejected", "labelled adversarial, %")
    tooltip = [
        alt.Tooltip("defense:N"),
        alt.Tooltip("attack:N"),
        alt.Tooltip("text:N", title="epsilon"),
        alt.Tooltip("rejected:Q", format=".1f", title="adversarial, %"),
        alt.Tooltip("n:Q", title="images"),
    ]
    layers = alt.LayerChart(
        layer=[
            base.mark_line().encode(y=y, opacity=shown, detail="attack:N", **_strokes(rows, layout)),
            base.transform_filter("datum.marked")
            .mark_point(filled=True, size=40)
            .encode(y=y, shape=shape, opacity=shown),
            base.mark_point(filled=True, size=70).encode(y=y, opacity=alt.value(0), tooltip=tooltip),
        ]
    ).properties(width=layout.panel, height=layout.height(0.5))
    rejecting = [name for name in summary.defenses if any(row["rejected"] for row in rows if row["defense"] == name)]
    kept = [row for row in rows if row["defense"] in rejecting]
    chart = facet(layers, "defense", rejecting, layout.columns)
    return specify(chart.add_params(alt.param(name="attack", value=ALL)), kept)


def _strokes(rows: Sequence[Row], layout: Layout) -> dict[str, alt.StrokeDash | alt.Condition]:
    """Return how lines tell what their attack knows: thick and solid if it knows the defense, else thin and dashed."""
    present = set(names(rows, "knowledge"))
    known = [word for word in _DASHES if word in present]
    thick, thin = (3, 1.4) if layout.choosing else (1.8, 0.9)
    return {
        "strokeDash": alt.StrokeDash(
            "knowledge:N",
            scale=alt.Scale(domain=known, range=[_DASHES[word] for word in known]),
            legend=alt.Legend(title="the attack is", symbolType="stroke", symbolSize=900),
        ),
        "strokeWidth": alt.condition("datum.knowledge == 'adaptive'", alt.value(thick), alt.value(thin)),
    }
