from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from robench.api.records import Card, FailureRow
from robench.report.table import Grid, build_grid

if TYPE_CHECKING:
    from robench.api.records import RunSummary
    from tests.report.conftest import SummaryFactory

MEANING = (
    "robust accuracy: correct or rejected; clean: correct only; of a stochastic defense the mean over its draws; "
    "95 % Wilson intervals; all in %"
)


def texts(grid: Grid) -> list[list[str]]:
    return [[" ".join(cell) for cell in row] for row in grid.rows]


def row(grid: Grid, label: str) -> list[str]:
    (found,) = (cells for name, *cells in texts(grid) if name == label)
    return found


def test_rows_are_attacks_and_columns_are_defenses(small: RunSummary) -> None:
    grid = build_grid(small)

    assert grid.header == ("attack", "none", "magnet")
    assert texts(grid) == [
        ["clean", "99.0 [98.0, 100.0]", "96.4 [95.4, 97.4] rej 3.2"],
        ["pgd (naive) eps 0.1", "80.0 [78.0, 82.0]", "88.2 [86.2, 90.2] rej 5.0"],
        ["pgd (naive) eps 0.3", "1.0 [0.0, 3.0]", "100.0 [98.0, 100.0] rej 100.0"],
        ["pgd (naive) worst of 2 epsilons", "eps 0.3: 1.0 [0.0, 3.0]", "eps 0.1: 88.2 [86.2, 90.2] rej 5.0"],
    ]


def test_title_says_what_was_measured(small: RunSummary) -> None:
    assert build_grid(small).title == (
        "mnist, classifier a, profile quick: 500 images of the test split, seed 7, norm Linf, run 0123456789ab"
    )


def test_notes_give_meaning_and_provenance(small: RunSummary) -> None:
    assert build_grid(small).notes == (
        MEANING,
        "rej: share rejected; worst: the epsilon of the sweep with the least robust accuracy",
        "naive: the attack does not know the detector or the selection; these numbers are upper bounds, not robustness",
        "SHA-256: data 0123456789ab, classifier fedcba987654",
        "none 111111111111: never rejects",
        "magnet 222222222222: rejects scores above 0.01235, rule certified, 0.08 % of 6,000 validation images rejected",
        "environment: python 3.11.7, torch 2.10.0",
    )


@pytest.mark.parametrize(("knowledge", "warned"), [("naive", True), ("oblivious", True), ("adaptive", False)])
def test_attack_that_does_not_know_the_defense_is_called_an_upper_bound(
    make_summary: SummaryFactory, knowledge: str, warned: bool
) -> None:
    grid = build_grid(make_summary({("none", "pgd", "0.1"): (400, 100, 0)}, knowledge=knowledge))

    assert any(note.startswith(f"{knowledge}: ") and "upper bounds" in note for note in grid.notes) is warned
    assert any("upper bounds" in note for note in grid.notes) is warned


def test_sweep_of_one_epsilon_has_no_worst_row(make_summary: SummaryFactory) -> None:
    grid = build_grid(make_summary({("none", "pgd", "0.1"): (400, 100, 0)}))

    assert [cells[0] for cells in texts(grid)] == ["clean", "pgd (naive) eps 0.1"]


def test_sweep_of_thirty_epsilons_shows_a_few_its_worst_and_its_curve(make_summary: SummaryFactory) -> None:
    sweep = {("none", "pgd", f"{index / 100}"): (500 - index, index, 0) for index in range(1, 31)}
    sweep["none", "pgd", "0.17"] = (0, 500, 0)

    grid = build_grid(make_summary(sweep))

    assert texts(grid)[1:] == [
        ["pgd (naive) eps 0.1", "98.0 [96.0, 100.0]"],
        ["pgd (naive) eps 0.2", "96.0 [94.0, 98.0]"],
        ["pgd (naive) eps 0.3", "94.0 [92.0, 96.0]"],
        ["pgd (naive) worst of 30 epsilons", "eps 0.17: 0.0 [0.0, 2.0]"],
    ]
    (curve,) = grid.curves
    assert (curve.after, " ".join(curve.label)) == (4, "pgd (naive) eps 0.01 to 0.3")
    (values,) = curve.values
    assert values[:2] == (0.998, 0.996)
    assert values[16] == 0
    assert len(values) == 30


def test_curve_has_gaps_where_nothing_was_judged(make_summary: SummaryFactory) -> None:
    sweep = {("none", "pgd", f"{index}"): (500, 0, 0) for index in range(1, 9)}
    sweep |= {("magnet", "pgd", "3"): (250, 250, 0)}

    (curve,) = build_grid(make_summary(sweep)).curves

    assert curve.values == ((1.0,) * 8, (None, None, 0.5, None, None, None, None, None))


def test_sweep_whose_epsilons_all_have_a_row_has_no_curve(make_summary: SummaryFactory) -> None:
    sweep = {("none", "pgd", f"{index}"): (500, 0, 0) for index in range(1, 7)}

    grid = build_grid(make_summary(sweep))

    assert grid.curves == ()
    assert len(grid.rows) == 1 + 6 + 1


def test_epsilons_are_ordered_as_numbers(make_summary: SummaryFactory) -> None:
    sweep = {("none", "pgd", epsilon): (500, 0, 0) for epsilon in ("1e-1", "0.5", "1")}

    labels = [cells[0] for cells in texts(build_grid(make_summary(sweep)))]

    assert labels[1:4] == ["pgd (naive) eps 1e-1", "pgd (naive) eps 0.5", "pgd (naive) eps 1"]


def test_defense_with_a_threshold_shows_that_it_rejected_nothing(make_summary: SummaryFactory) -> None:
    details = {"defenses": {"magnet": {"threshold": 0.5}}}

    grid = build_grid(make_summary({}, clean={"none": (500, 0, 0), "magnet": (500, 0, 0)}, details=details))

    assert row(grid, "clean") == ["100.0 [99.0, 100.0]", "100.0 [99.0, 100.0] rej 0.0"]


def test_partial_and_missing_cells_are_visible(make_summary: SummaryFactory) -> None:
    summary = make_summary(
        {
            ("none", "pgd", "0.1"): (500, 0, 0),
            ("none", "pgd", "0.3"): (250, 250, 0),
            ("magnet", "pgd", "0.1"): (300, 0, 0),
        },
        clean={"none": (500, 0, 0)},
        complete=False,
    )

    grid = build_grid(summary)

    assert row(grid, "clean")[1] == "-"
    assert row(grid, "pgd (naive) eps 0.1")[1] == "100.0 [98.0, 100.0] (n=300)"
    assert row(grid, "pgd (naive) eps 0.3")[1] == "-"
    assert row(grid, "pgd (naive) worst of 2 epsilons")[1] == "eps 0.1: 100.0 [98.0, 100.0] (n=300) (of 1 only)"
    assert grid.warnings == ("INCOMPLETE: 1,800 of 3,000 outcomes; the same command resumes",)


def test_complete_run_has_no_warning(small: RunSummary) -> None:
    assert build_grid(small).warnings == ()


def test_run_without_any_outcome_is_a_table_of_gaps(make_summary: SummaryFactory) -> None:
    failure = FailureRow(defense="magnet", attack="clean", epsilon="0", reason="no weights")

    grid = build_grid(make_summary({}, complete=False, failures=[failure]))

    assert texts(grid) == [["clean", "failed"]]
    assert "failed: clean on magnet: no weights" in grid.notes
    assert grid.warnings == (
        "INCOMPLETE: 0 of 500 outcomes; failed cells: 1, see below; the same command tries them again",
    )


def test_failures_of_one_cause_are_one_line_without_control_characters(make_summary: SummaryFactory) -> None:
    failures = [
        FailureRow(defense="magnet", attack="bim", epsilon=epsilon, reason="no\nmemory \x1b[31m") for epsilon in "12"
    ]

    grid = build_grid(make_summary({("none", "pgd", "0.1"): (500, 0, 0)}, complete=False, failures=failures))

    assert row(grid, "bim eps 1") == ["-", "failed"]
    assert "failed: bim on magnet at eps 1, 2: no memory [31m" in grid.notes


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"data_digest": None, "defenses": [], "environment": ""},
        {"defenses": {"none": {}, "magnet": 3}},
        {"defenses": {"magnet": {"threshold": "Infinity", "false_positive_rate_validation": None}}},
    ],
)
def test_report_survives_incomplete_provenance(make_summary: SummaryFactory, details: dict[str, object]) -> None:
    grid = build_grid(make_summary({("magnet", "pgd", "0.1"): (500, 0, 0)}, details=details))

    assert row(grid, "pgd (naive) eps 0.1")[0].startswith("100.0 ")
    assert not any("None" in note for note in grid.notes)


def test_the_worst_case_per_image_is_shown_as_a_curve_and_explained(make_summary: SummaryFactory) -> None:
    epsilons = [f"0.{number:02}".rstrip("0") for number in range(1, 31)]
    results = {
        ("none", "worst-case", epsilon): (500 - 10 * place, 10 * place, 0) for place, epsilon in enumerate(epsilons)
    }
    details: dict[str, object] = {"attacks": {"fgsm": {}, "pgd": {}}}

    grid = build_grid(make_summary(results, clean={"none": (495, 5, 0)}, details=details))

    labels = [" ".join(cells[0]) for cells in grid.rows[1:]]
    assert labels == [f"worst-case (naive) eps {epsilon}" for epsilon in ("0.05", "0.1", "0.15", "0.2", "0.25", "0.3")]
    (note,) = (note for note in grid.notes if note.startswith("worst-case:"))
    assert "any of fgsm, pgd fooled the defense at this or a smaller epsilon listed" in note


def test_the_verdict_row_warns_of_a_defense_that_harms(small: RunSummary) -> None:
    verdict = "upper bound only: at most 9.0 % at eps 0.3; LESS robust than no defense at eps 0.1, 0.3"
    card = Card(defense="magnet", created="2026", verdict=verdict, lines=(), metrics=())
    row = build_grid(replace(small, cards=(card,))).rows[-1]
    assert row == (("verdict",), ("-",), ("upper bound only", "(LESS robust than no defense)"))
