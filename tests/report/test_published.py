from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from robench.analysis.published import compare_published, read_published
from robench.api.published import Trait
from robench.api.records import Card
from robench.report.published import HEADER, PUBLISHED_FORMATS, print_published, published_notes, published_rows

if TYPE_CHECKING:
    from robench.api.published import PublishedComparison
    from robench.api.records import RunSummary
    from tests.report.conftest import ConsoleFactory

REFERENCE = """dataset,defense,attack,epsilon,quantity,value,low,high,source
mnist,none,clean,,accuracy,0.992,0.982,1,Table 9
mnist,magnet,pgd,0.1,accuracy,0.5,0.4,0.6,Table 9
mnist,magnet,pgd,,worst epsilon,0.3,,,Figure 9
mnist,none,pgd,0.1,accuracy,0.79,0.78,0.82,Figure 9
mnist,none,pgd,0.3,accuracy,0.03,,,Figure 9
mnist,none,pgd,0.7,accuracy,0.03,,,Figure 9
"""


@pytest.fixture
def comparison(small: RunSummary) -> PublishedComparison:
    return compare_published(
        "mine|.csv", read_published(REFERENCE, "mine.csv"), small, {"images": 500, "profile": "paper"}
    )


def test_tables_are_shown_by_figure_and_curves_by_their_largest_difference(comparison: PublishedComparison) -> None:
    text = PUBLISHED_FORMATS["table"](comparison)
    lines = {line.split("  ")[0]: " ".join(line.split()) for line in text.splitlines()}
    assert "99.2 99.0 [98.0, 100.0] -0.2 98.2 to 100.0 within Table 9" in lines["none: clean accuracy"]
    assert "+38.2 40.0 to 60.0 outside Table 9" in lines["magnet under pgd (naive): accuracy at 0.1"]
    assert "0.3 0.1 -0.2 not judged Figure 9" in lines["magnet under pgd (naive): worst epsilon"]
    curve = lines["none under pgd (naive): accuracy, 2 points"]
    assert "3.0 to 79.0 1.0 to 80.0 mean 1.5, most -2.0 at 0.3 1 of 1 within Figure 9" in curve
    assert "of all figures: 2 within, 0 within error, 1 outside, 2 not judged; 1 have no counterpart" in text
    assert "differs: profile quick, published with paper" in text


def test_points_of_a_curve_that_only_their_intervals_bring_near_are_told_apart(small: RunSummary) -> None:
    header = REFERENCE.splitlines()[0]
    points = ("0.1,accuracy,0.79,0.78,0.82", "0.3,accuracy,0.02,0.015,0.03", "0.2,accuracy,0.9,0.89,0.91")

    def verdict(*chosen: str) -> str:
        text = "\n".join([header, *(f"mnist,none,pgd,{point},Figure 9" for point in chosen)])
        rows = published_rows(compare_published("mine", read_published(text, "mine"), small, {}))
        return rows[-1][HEADER.index("verdict")]

    assert verdict(points[0]) == "1 of 1 within"
    assert verdict(points[1]) == "0 of 1 within, 1 within error"
    assert verdict(*points[:2]) == "1 of 2 within, 1 within error"


def test_notes_begin_with_what_the_figures_are_worth(small: RunSummary) -> None:
    cards = (
        Card(defense="magnet", created="", verdict="UNRELIABLE: pgd: order", lines=()),
        Card(defense="none", created="", verdict="not robust", lines=()),
    )
    stopped = replace(small, complete=False, cards=cards)
    comparison = compare_published("mine", read_published(REFERENCE, "mine"), stopped, {})
    incomplete, naive, unreliable, *_ = published_notes(comparison)
    assert incomplete.startswith("INCOMPLETE: ")
    assert naive.endswith("these numbers are upper bounds, not robustness")
    assert unreliable == "UNRELIABLE: the evaluation of magnet failed its own diagnostics"
    rows = list(csv.DictReader(io.StringIO(PUBLISHED_FORMATS["csv"](comparison))))
    assert {(row["complete"], row["seed"]) for row in rows} == {("no", "7")}
    assert {(row["defense"], row["card"]) for row in rows} == {
        ("magnet", "UNRELIABLE: pgd: order"),
        ("none", "not robust"),
    }
    assert {row["attack"]: row["knowledge"] for row in rows} == {"clean": "", "pgd": "naive"}


def test_settings_that_differ_are_told_as_people_write_them(small: RunSummary) -> None:
    changed = replace(small, details={**small.details, "parameters_changed": {"puvae": ["error=rmse", "batch=2"]}})
    comparison = compare_published("mine", read_published(REFERENCE, "mine"), changed, {"parameters_changed": {}})
    assert "parameters changed puvae error=rmse, batch=2, published with none" in comparison.deviations


def test_a_shape_that_the_run_cannot_show_is_not_said_to_be_missing(comparison: PublishedComparison) -> None:
    trait = Trait(claim="PGD does most harm there", holds=None, found="all tie")
    notes = published_notes(replace(comparison, traits=(trait,)))
    assert notes[-1] == "shape: PGD does most harm there: cannot be told (all tie)"


def test_every_format_has_every_figure(comparison: PublishedComparison) -> None:
    assert set(PUBLISHED_FORMATS) == {"table", "json", "csv", "markdown"}
    rows = list(csv.DictReader(io.StringIO(PUBLISHED_FORMATS["csv"](comparison))))
    assert len(rows) == len(comparison.figures) == 5
    assert [float(row["measured"]) for row in rows] == [item.measured.value for item in comparison.figures]
    loaded = json.loads(PUBLISHED_FORMATS["json"](comparison))
    assert [item["verdict"] for item in loaded["figures"]] == [row["verdict"] for row in rows]
    markdown = PUBLISHED_FORMATS["markdown"](comparison)
    assert markdown.startswith(
        "**run 0123456789ab on mnist against mine\\|.csv: classifier a, profile quick, 500 images, seed 7**"
    )
    assert all(line.count(" | ") == 6 for line in markdown.splitlines() if line.startswith("|"))


def test_a_narrow_terminal_loses_no_number(comparison: PublishedComparison, make_console: ConsoleFactory) -> None:
    console, text = make_console(60)
    print_published(comparison, console)
    assert max(map(len, text.getvalue().splitlines())) <= 60
    for number in ("99.2", "+38.2", "98.0"):
        assert number in text.getvalue()
