"""What all charts share: colours, dashes and shapes that can be told apart without colour, and the rows of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import altair as alt

from robench.api.records import NORM_LABELS, REJECTION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.records import RunSummary

Row = dict[str, str | int | float | bool]
Specification = dict[str, object]
"""Of a chart, in Vega-Lite's language."""

ROWS = alt.NamedData(name="rows")
"""Stands for the rows of a chart until ``specify`` puts them in."""

# Okabe and Ito (2008), distinguishable with any colour vision, less the yellow that is too light on paper; none of
# them is black, which would vanish on a dark page.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c6d46", "#7f7f7f")
SHAPES = ("circle", "square", "triangle-up", "cross", "diamond", "triangle-down", "triangle-right", "triangle-left")
DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (4, 1), (10, 4), (1, 3), (6, 2, 1, 2, 1, 2))

# Dark, light, dark: neighbours in a stack differ in lightness, too, and all show on white and on black.
OUTCOME_COLOURS = {"correct": "#0072b2", "rejected": "#f0c04a", "wrong": "#b33c00"}
"""In the order in which they are stacked, from below."""

ALL = "all"
"""Value of the parameter ``attack`` that singles no attack out."""

_MARKERS = 8
"""Points of a line that carry a shape, at most; more would hide it."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How large a chart is.

    Attributes:
        panel: Width of one panel, in pixels; on paper a pixel is a point.
        columns: Panels side by side.
        single: Width of a chart that has one panel only.
        choosing: Whether something else on the page sets the parameter ``attack``; on paper all attacks are shown.
    """

    panel: int
    columns: int
    single: int
    choosing: bool

    def height(self, share: float) -> int:
        """Return the height of a panel, as a share of its width."""
        return round(self.panel * share)


PAGE = Layout(panel=450, columns=2, single=700, choosing=True)


def results(summary: RunSummary) -> list[Row]:
    """Return what attacks came to, a row for each defense, attack and epsilon; accuracies are percentages."""
    rows = [row for row in summary.results if row.attack != REJECTION and row.n]
    sweeps: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        sweeps.setdefault((row.defense, row.attack), []).append(row.epsilon)
    lowest = {(row.defense, row.attack): row.worst_case_epsilon for row in summary.worst}
    worst = {(row.defense, row.attack): row.accuracy for row in summary.worst}
    flat = {(row.defense, row.attack) for row in rows} - {
        (row.defense, row.attack) for row in rows if row.accuracy > worst[row.defense, row.attack]
    }
    return [
        {
            "defense": row.defense,
            "attack": row.attack,
            "knowledge": row.knowledge,
            "epsilon": float(row.epsilon),
            "text": row.epsilon,
            "accuracy": 100 * row.accuracy,
            "low": 100 * row.accuracy_low,
            "high": 100 * row.accuracy_high,
            "correct": 100 * row.correct / row.n,
            "rejected": 100 * row.rejected / row.n,
            "wrong": 100 * row.wrong / row.n,
            "n": row.n,
            "worst": lowest.get((row.defense, row.attack)) == row.epsilon and (row.defense, row.attack) not in flat,
            "marked": _is_marked(sweeps[row.defense, row.attack], row.epsilon),
        }
        for row in rows
    ]


def _is_marked(sweep: Sequence[str], epsilon: str) -> bool:
    step = -(-len(sweep) // _MARKERS)
    return (len(sweep) - 1 - sweep.index(epsilon)) % step == 0


def names(rows: Sequence[Row], field: str) -> list[str]:
    """Return the different values of a field, in the order of their first row."""
    return list(dict.fromkeys(str(row[field]) for row in rows))


def specify(chart: alt.TopLevelMixin, rows: Sequence[Row]) -> Specification:
    """Return a chart over ``ROWS`` as a specification that holds them.

    They are put in last: the library would check each of them, which takes seconds for thousands.
    """
    return {**chart.to_dict(), "datasets": {ROWS.name: list(rows)}}


def by_name(field: str, values: Sequence[str], title: str) -> tuple[alt.Color, alt.Shape, alt.StrokeDash]:
    """Return colour, shape and dash for some names; a reader can tell them apart by any of the three.

    Args:
        field: Of the rows.
        values: All that occur, in the order of the legend. More than there are marks share them.
        title: Of the legend.
    """

    def scale(marks: Sequence[str] | Sequence[Sequence[float]]) -> alt.Scale:
        return alt.Scale(domain=list(values), range=[marks[at % len(marks)] for at in range(len(values))])

    # Opaque, whatever the marks are, and without an outline, which dashes would tear.
    legend = alt.Legend(title=title, symbolOpacity=1, symbolStrokeWidth=0)
    return (
        alt.Color(f"{field}:N", scale=scale(COLOURS), legend=legend),
        alt.Shape(f"{field}:N", scale=scale(SHAPES), legend=legend),
        alt.StrokeDash(f"{field}:N", scale=scale(DASHES), legend=legend),
    )


def percentage(field: str, title: str) -> alt.Y:
    """Return a vertical axis from 0 to 100 %."""
    return alt.Y(
        f"{field}:Q", title=title, scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(values=[0, 25, 50, 75, 100])
    )


def epsilon_title(norm: str) -> str:
    """Return the title of an axis of epsilons, with the norm of their balls."""
    return f"epsilon ({NORM_LABELS[norm]})" if norm in NORM_LABELS else "epsilon"


def epsilon_axis(norm: str) -> alt.X:
    """Return a horizontal axis of epsilons."""
    return alt.X("epsilon:Q", title=epsilon_title(norm), axis=alt.Axis(tickCount=6))


def facet(chart: alt.LayerChart | alt.Chart, field: str, values: Sequence[str], columns: int) -> alt.FacetChart:
    """Return a panel for each value of a field, with its name above and its epsilons below."""
    panels = chart.facet(facet=alt.Facet(f"{field}:N", title=None, sort=list(values)), columns=columns)
    # One axis for a whole column would stand below nothing where the last row is not full.
    return panels.resolve_axis(x="independent") if len(values) % columns else panels
