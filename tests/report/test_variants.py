from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING

from robench.api.records import Card
from robench.report.variants import print_variants, render_variants

if TYPE_CHECKING:
    from robench.api.records import RunSummary
    from tests.report.conftest import ConsoleFactory, SummaryFactory


def table(summaries: dict[str, RunSummary]) -> list[dict[str, str]]:
    """Return the rows of the Markdown by heading."""
    lines = render_variants("toys", summaries, "markdown").splitlines()
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_naive_numbers_are_called_naive_and_failed_diagnostics_unreliable(
    small: RunSummary, make_console: ConsoleFactory
) -> None:
    verdict = "UNRELIABLE: pgd: order; LESS robust than no defense at eps 0.1"
    card = Card(defense="magnet", created="", verdict=verdict, lines=())
    judged = replace(small, cards=(card,))
    none, magnet = table({"one": judged})
    assert none["pgd (naive) eps 0.3"] == "1.0 [0.0, 3.0]"
    assert none["verdict"] == "-"
    assert magnet["pgd (naive) eps 0.3"] == "100.0 [98.0, 100.0] rej 100.0"
    assert magnet["verdict"] == "UNRELIABLE (LESS robust than no defense)"
    screen, text = make_console()
    print_variants("toys", {"one": judged}, screen)
    for shown in (text.getvalue(), render_variants("toys", {"one": judged}, "markdown")):
        assert "UNRELIABLE" in shown
        assert "these numbers are upper bounds, not robustness" in shown


def test_a_run_that_was_stopped_has_no_figure_at_the_largest_epsilon_and_is_called_incomplete(
    make_summary: SummaryFactory,
) -> None:
    whole = make_summary({("none", "pgd", "0.1"): (400, 100, 0), ("none", "pgd", "0.3"): (5, 495, 0)})
    stopped = make_summary({("none", "pgd", "0.1"): (400, 100, 0)}, complete=False)
    first, second = table({"stopped": stopped, "whole": whole})
    assert first["pgd (naive) eps 0.3"] == "-"
    assert first["run"] == f"{stopped.run.id} INCOMPLETE"
    assert second["pgd (naive) eps 0.3"].startswith("1.0 ")


def test_fewer_images_than_asked_for_are_told(make_summary: SummaryFactory) -> None:
    (row,) = table({"one": make_summary({("none", "pgd", "0.3"): (200, 200, 0)})})
    assert row["pgd (naive) eps 0.3"].endswith(" (n=400)")


def test_what_the_runs_have_in_common_is_in_the_title_and_where_they_differ_a_column_says_how(
    make_summary: SummaryFactory,
) -> None:
    small = make_summary({("none", "pgd", "0.3"): (10, 20, 0)}, images=30)
    large = make_summary({("none", "pgd", "0.3"): (5, 495, 0)})
    alike = render_variants("toys", {"one": large, "two": large}, "markdown").splitlines()[0]
    assert "n 500, seed 7" in alike
    other = render_variants("toys", {"one": small, "two": large}, "markdown").splitlines()[0]
    assert "seed 7" in other
    assert "n 500" not in other
    assert [row["n"] for row in table({"one": small, "two": large})] == ["30", "500"]


def test_csv_is_that_of_the_runs(make_summary: SummaryFactory) -> None:
    one, two = (
        make_summary({("none", "pgd", "0.3"): (5, 495, 0)}, details={"suite": "toys", "variant": name})
        for name in ("one", "two")
    )
    rows = list(csv.DictReader(io.StringIO(render_variants("toys", {"one": one, "two": two}, "csv"))))
    assert [(row["suite"], row["variant"], row["n"], row["correct"]) for row in rows] == [
        ("toys", "one", "500", "5"),
        ("toys", "two", "500", "5"),
    ]
