"""The charts by name."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from robench.api.records import REJECTION
from robench.report.figures.curves import accuracy_curves, proportion_curves
from robench.report.figures.detector import rates, rejected, roc_curves, score_histograms
from robench.report.figures.outcomes import outcome_areas
from robench.report.figures.overview import critical_curves, heat_map, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from robench.api.exhibit import Exhibit
    from robench.report.figures.marks import Layout, Specification


Numbers = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""Headers and rows."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart that a run may have.

    Attributes:
        title: What it shows, as a heading.
        caption: How to read it.
        missing: Why a run may lack it.
        has: Whether a run has what it shows.
        draw: Makes the chart.
        choosing: Whether it has the parameter ``attack``: ``highlight`` singles one out, ``one`` shows one only.
        numbers: The figures that it shows, as headers and rows of text, where the table of all results lacks them.
    """

    title: str
    caption: str
    missing: str
    has: Callable[[Exhibit], bool]
    draw: Callable[[Exhibit, Layout], Specification]
    choosing: str = ""
    numbers: Callable[[Exhibit], Numbers] | None = None


def _attacked(exhibit: Exhibit) -> bool:
    return any(row.attack != REJECTION and row.n for row in exhibit.summary.results)


def _rejecting(exhibit: Exhibit) -> bool:
    return any(row.rejected for row in exhibit.summary.results if row.attack != REJECTION)


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "curves": Figure(
            title="Robust accuracy against epsilon",
            caption="Correct or rejected counts as robust. Thick solid lines, if any: attacks that know the defense; "
            "thin dashed ones do not, and are upper bounds only. Bands: 95 % Wilson intervals. Hollow diamonds: the "
            "smallest epsilon at which a sweep is at its worst.",
            missing="no attack of the run has outcomes",
            has=_attacked,
            draw=lambda exhibit, layout: accuracy_curves(exhibit.summary, layout),
            choosing="highlight",
        ),
        "heatmap": Figure(
            title="Defenses and attacks",
            caption="Robust accuracy in % at the smallest, the middle and the largest epsilon; what is blank was not "
            "evaluated.",
            missing="no attack of the run has outcomes",
            has=_attacked,
            draw=lambda exhibit, layout: heat_map(exhibit.summary, layout),
        ),
        "critical": Figure(
            title="Critical epsilons",
            caption="Share of the images that nothing has won within each epsilon, with its 95 % Wilson interval: the "
            "worst case of each image over the attacks that count, all smaller epsilons, and all runs in the store on "
            "the same defense. A clean image that is wrong is lost at 0. An image of a stochastic defense is won where "
            "most of its draws are; cards take the mean over draws.",
            missing="no defense of the run has outcomes for all clean images and under an attack",
            has=lambda exhibit: bool(exhibit.critical),
            draw=lambda exhibit, layout: critical_curves(exhibit.critical, exhibit.summary.norm, layout),
            numbers=lambda exhibit: standing(exhibit.critical),
        ),
        "outcomes": Figure(
            title="Correct, rejected, wrong",
            caption="How the attacked images end, in % of all; those of a stochastic defense by most of its draws.",
            missing="no attack of the run has outcomes",
            has=_attacked,
            draw=lambda exhibit, layout: outcome_areas(exhibit.summary, layout),
            choosing="one",
        ),
        "proportion": Figure(
            title="Adversarial proportion",
            caption='Share of the attacked images that get the label "adversarial". Few may mean a blind detector, or '
            "an attack that evades it: robust accuracy tells. Thick solid lines, if any: attacks that know the "
            "defense.",
            missing="no defense of the run has rejected an attacked image",
            has=_rejecting,
            draw=lambda exhibit, layout: proportion_curves(exhibit.summary, layout),
            choosing="highlight",
        ),
        "scores": Figure(
            title="Rejection scores",
            caption="Images predicted right are counted upwards, others downwards. The dashed line is the threshold, "
            "fixed on clean validation images before any attack; what lies right of it is rejected. The last bin holds "
            "all larger scores.",
            missing="no defense of the run has a threshold and outcomes for all clean images",
            has=lambda exhibit: bool(exhibit.histograms),
            draw=lambda exhibit, layout: score_histograms(exhibit.histograms, layout),
            numbers=lambda exhibit: rejected(exhibit.histograms),
        ),
        "roc": Figure(
            title="Detector: ROC",
            caption="Scores of clean images against scores of misclassified attacked images, whatever the threshold. "
            "Points: the threshold that the defense has. Few adversarials make a coarse curve.",
            missing="no defense of the run has scores, or no attacked image is misclassified",
            has=lambda exhibit: bool(exhibit.rocs),
            draw=lambda exhibit, layout: roc_curves(exhibit.rocs, layout),
            numbers=lambda exhibit: rates(exhibit.rocs),
        ),
    }
)
