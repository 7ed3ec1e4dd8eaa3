"""Rejection scores and what they tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from robench.report.figures.marks import COLOURS, ROWS, Layout, Row, Specification, by_name, facet, names, specify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.exhibit import RocCurve, ScoreHistogram

_KINDS = ("predicted right", "predicted wrong")


def score_histograms(histograms: Sequence[ScoreHistogram], layout: Layout) -> Specification:
    """Draw how scores are spread, a panel for each defense and kind of images; a line marks the threshold.

    Images that are predicted right are counted upwards, others downwards.
    """
    rows: list[Row] = [
        {
            "panel": f"{one.defense}: {one.sample}",
            "from": one.edges[at],
            "to": one.edges[at + 1],
            "threshold": one.threshold,
            "kind": kind,
            "images": count,
            "signed": sign * count,
        }
        for one in histograms
        for kind, sign, counts in zip(_KINDS, (1, -1), (one.right, one.wrong), strict=True)
        for at, count in enumerate(counts)
        if count or at in {0, len(counts) - 1}  # the axes of a defense's panels reach from the first bin to the last
    ]
    scale = alt.Scale(domain=list(_KINDS), range=list(COLOURS[:2]))
    base = alt.Chart(ROWS)
    bars = base.mark_bar(strokeWidth=0.3).encode(
        x=alt.X("from:Q", title="rejection score", bin="binned", scale=alt.Scale(zero=False)),
        x2=alt.X2("to:Q"),
        y=alt.Y("signed:Q", title="images", axis=alt.Axis(labelExpr="abs(datum.value)", tickCount=5, tickMinStep=1)),
        color=alt.Color("kind:N", scale=scale, legend=alt.Legend(title="up, down", symbolType="square")),
        tooltip=[
            alt.Tooltip("from:Q", format=".4g"),
            alt.Tooltip("to:Q", format=".4g"),
            alt.Tooltip("kind:N"),
            alt.Tooltip("images:Q"),
            alt.Tooltip("threshold:Q", format=".4g"),
        ],
    )
    rule = base.mark_rule(strokeDash=[5, 3], strokeWidth=1.5).encode(x=alt.X("threshold:Q", aggregate="min"))
    layers = alt.LayerChart(layer=[bars, rule]).properties(width=layout.panel, height=layout.height(0.32))
    chart = facet(layers, "panel", names(rows, "panel"), layout.columns)
    return specify(chart.resolve_scale(x="independent", y="independent"), rows)


def rejected(histograms: Sequence[ScoreHistogram]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return as headers and rows how many images lie on either side of each threshold."""
    rows = []
    for one in histograms:
        # The threshold is the edge of a bin, but for the rounding that puts it on the accepted side.
        left = sum(edge <= one.threshold for edge in one.edges[:-1])
        counts = (sum(one.right[:left]), sum(one.right[left:]), sum(one.wrong[:left]), sum(one.wrong[left:]))
        rows.append((one.defense, one.sample, f"{one.threshold:.4g}", *map(str, counts)))
    kinds = tuple(f"{kind}, {end}" for kind in _KINDS for end in ("accepted", "rejected"))
    return ("defense", "images", "threshold", *kinds), rows


def rates(rocs: Sequence[RocCurve]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return as headers and rows what each ROC curve comes to, and where the threshold lies on it; rates in %."""
    rows = []
    for one in rocs:
        ends = [f"{100 * rate:.1f}" for rate in one.at_threshold] if one.at_threshold else ["-", "-"]
        counts = (str(one.n_clean), str(one.n_adversarial))
        rows.append((one.defense, one.sample, *counts, f"{one.auc:.3f}", *ends))
    found = ("clean images", "adversarials", "AUC", "clean rejected, %", "adversarials rejected, %")
    return ("defense", "adversarials of", *found), rows


def roc_curves(rocs: Sequence[RocCurve], layout: Layout) -> Specification:
    """Draw the share of adversarials found against the share of clean images rejected, a panel for each defense.

    A point marks the threshold that the defense has.
    """
    rows: list[Row] = [
        {
            "defense": one.defense,
            "sample": one.sample,
            "false": 100 * false,
            "true": 100 * true,
            "auc": one.auc,
            "n": one.n_adversarial,
            "deployed": deployed,
        }
        for one in rocs
        for false, true, deployed in (
            *((*pair, False) for pair in zip(one.false_positive_rates, one.true_positive_rates, strict=True)),
            *([(*one.at_threshold, True)] if one.at_threshold else []),
        )
    ]
    for at, row in enumerate(rows):
        row["order"] = at
    colour, shape, dash = by_name("sample", names(rows, "sample"), "adversarials of")
    tooltip = [
        alt.Tooltip("sample:N", title="adversarials of"),
        alt.Tooltip("false:Q", format=".1f", title="clean images rejected, %"),
        alt.Tooltip("true:Q", format=".1f", title="adversarials rejected, %"),
        alt.Tooltip("auc:Q", format=".3f", title="AUC"),
        alt.Tooltip("n:Q", title="adversarials"),
    ]
    axis = alt.Scale(domain=[0, 100])
    base = alt.Chart(ROWS).encode(
        x=alt.X("false:Q", title="clean images rejected, %", scale=axis),
        y=alt.Y("true:Q", title="adversarials rejected, %", scale=axis),
        color=colour,
        tooltip=tooltip,
    )
    layers = alt.LayerChart(
        layer=[
            base.transform_filter("!datum.deployed")
            .mark_line(interpolate="step-after", strokeWidth=2)
            .encode(strokeDash=dash, order=alt.Order("order:Q")),
            base.transform_filter("datum.deployed").mark_point(filled=True, size=90, opacity=1).encode(shape=shape),
        ]
    ).properties(width=layout.panel, height=layout.height(0.75))
    return specify(facet(layers, "defense", names(rows, "defense"), layout.columns), rows)
