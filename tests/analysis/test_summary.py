from __future__ import annotations

import math
import random
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench.analysis import summarise, wilson
from robench.analysis.robustness import robust_accuracy
from robench.api.records import REJECTION
from robench.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from robench.api.records import Run
    from tests.analysis.conftest import CountsFactory, JudgedFactory


def test_rejected_image_is_an_error_when_clean_and_robust_under_attack(
    make_run: Callable[..., Run], make_counts: CountsFactory
) -> None:
    counts = [make_counts("d", "clean", "0", (90, 6, 4)), make_counts("d", "pgd", "0.1", (50, 20, 30))]

    summary = summarise(make_run(), counts)

    (clean,), (result,) = summary.clean, summary.results
    assert (clean.n, clean.accuracy, clean.correct, clean.wrong, clean.rejected) == (100, 0.9, 90, 6, 4)
    assert (clean.accuracy_low, clean.accuracy_high) == wilson(90, 100)
    assert (result.n, result.accuracy, result.correct, result.wrong, result.rejected) == (100, 0.8, 50, 20, 30)
    assert (result.accuracy_low, result.accuracy_high) == wilson(80, 100)
    assert result.knowledge == "naive"


def test_all_reports_show_the_same_mean_over_draws(
    make_run: Callable[..., Run], make_counts: CountsFactory, judged: JudgedFactory
) -> None:
    shares = [0.0] * 141 + [0.1] * 59 + [0.9] * 59 + [0.7, 0.1, 0.6, 0.7, 1.0] * 44 + [1.0] * 221
    counts = make_counts("d", "pgd", "0.1", (479, 221, 0))

    # A database sums what was wrong, in an order of its own, and the cards what was not.
    for total in (sum(shares), sum(sorted(shares, reverse=True)), math.fsum(shares)):
        (row,) = summarise(make_run(images=700), [replace(counts, fooled=total)]).results
        assert row.accuracy == robust_accuracy(judged("c" * 700, fooled=shares)).value


def test_rows_follow_the_request_and_epsilons_ascend_as_numbers(
    make_run: Callable[..., Run], make_counts: CountsFactory
) -> None:
    epsilons = ("0.3", "1e-2", "0.05", "0.1")
    counts = [make_counts(defense, "clean", "0", (100, 0, 0)) for defense in ("z", "a")]
    counts += [
        make_counts(defense, attack, epsilon, (100, 0, 0))
        for defense in ("z", "a")
        for attack in ("pgd", "bim")
        for epsilon in epsilons
    ]

    summary = summarise(make_run(), counts)

    assert summary.defenses == ("z", "a")
    assert [row.defense for row in summary.clean] == ["z", "a"]
    assert [(row.defense, row.attack, row.epsilon) for row in summary.results] == [
        (defense, attack, epsilon)
        for defense in ("z", "a")
        for attack in ("pgd", "bim")
        for epsilon in ("1e-2", "0.05", "0.1", "0.3")
    ]
    assert [(row.defense, row.attack) for row in summary.worst] == [
        ("z", "pgd"),
        ("z", "bim"),
        ("a", "pgd"),
        ("a", "bim"),
    ]


def test_worst_case_is_the_smallest_epsilon_of_those_that_tie(
    make_run: Callable[..., Run], make_counts: CountsFactory
) -> None:
    counts = [
        make_counts("d", "pgd", "1", (60, 40, 0)),
        make_counts("d", "pgd", "0.5", (20, 40, 40)),
        make_counts("d", "pgd", "5e-2", (0, 40, 60)),
        make_counts("d", "pgd", "0.01", (100, 0, 0)),
    ]

    (worst,) = summarise(make_run(), counts).worst

    assert (worst.worst_case_epsilon, worst.accuracy, worst.rejected, worst.n) == ("5e-2", 0.6, 60, 100)
    assert (worst.accuracy_low, worst.accuracy_high) == wilson(60, 100)


def test_cell_without_outcomes_gets_no_row_and_leaves_the_run_incomplete(
    make_run: Callable[..., Run], make_counts: CountsFactory
) -> None:
    counts = [
        make_counts("d", "clean", "0", (0, 0, 0)),
        make_counts("d", "pgd", "0.1", (30, 0, 0)),
        make_counts("d", "pgd", "0.2", (0, 0, 0)),
        make_counts("e", "clean", "0", (0, 0, 0)),
    ]

    summary = summarise(make_run(), counts)

    assert not summary.complete
    assert summary.defenses == ("d", "e")
    assert summary.clean == ()
    assert [(row.epsilon, row.n) for row in summary.results] == [("0.1", 30)]
    assert [row.worst_case_epsilon for row in summary.worst] == ["0.1"]


def test_failed_cell_is_reported_and_leaves_the_run_incomplete(
    make_run: Callable[..., Run], make_counts: CountsFactory
) -> None:
    counts = [
        make_counts("d", "pgd", "0.2", (10, 0, 0), failure="no memory"),
        make_counts("d", "pgd", "0.1", (100, 0, 0)),
        make_counts("d", "clean", "0", (0, 0, 0), failure="no weights"),
    ]

    summary = summarise(make_run(), counts)

    assert not summary.complete
    assert [(row.defense, row.attack, row.epsilon, row.reason) for row in summary.failures] == [
        ("d", "pgd", "0.2", "no memory"),
        ("d", "clean", "0", "no weights"),
    ]


def test_run_is_complete_when_every_cell_has_all_images(
    make_run: Callable[..., Run], make_counts: CountsFactory
) -> None:
    counts = [make_counts("d", "clean", "0", (100, 0, 0)), make_counts("d", "pgd", "0.1", (90, 5, 5))]

    assert summarise(make_run(images=100), counts).complete
    assert not summarise(make_run(images=101), counts).complete
    assert not summarise(make_run(), []).complete


@pytest.mark.parametrize(("n", "correct", "wrong"), [(101, 101, 0), (99, 100, 0), (100, 101, -1)])
def test_outcomes_that_do_not_add_up_are_refused(
    make_run: Callable[..., Run], make_counts: CountsFactory, n: int, correct: int, wrong: int
) -> None:
    counts = replace(make_counts("d", "pgd", "0.1", (100, 0, 0)), n=n, correct=correct, wrong=wrong)

    with pytest.raises(ValueError, match=r"cell d/pgd/0\.1: .* are not \d+ outcomes of 100 images"):
        summarise(make_run(images=100), [counts])


@pytest.mark.parametrize("shares", [{"fooled": 100.5}, {"fooled": -0.5}, {"rejected_share": 101.0}])
def test_shares_that_no_outcomes_have_are_refused(
    make_run: Callable[..., Run], make_counts: CountsFactory, shares: dict[str, Any]
) -> None:
    counts = replace(make_counts("d", "pgd", "0.1", (100, 0, 0)), **shares)

    with pytest.raises(ValueError, match=r"cell d/pgd/0\.1: shares of .* are not those of 100 outcomes"):
        summarise(make_run(images=100), [counts])


def test_accuracy_is_the_mean_share_of_draws(make_run: Callable[..., Run], make_counts: CountsFactory) -> None:
    counts = [
        replace(make_counts("d", attack, epsilon, (90, 8, 2)), fooled=12.5, rejected_share=2.25)
        for attack, epsilon in (("clean", "0"), ("pgd", "0.1"))
    ]

    summary = summarise(make_run(), counts)

    (clean,), (result,) = summary.clean, summary.results
    assert (clean.accuracy, clean.accuracy_low, clean.accuracy_high) == (0.8525, *wilson(85.25, 100))
    assert (result.accuracy, result.accuracy_low, result.accuracy_high) == (0.875, *wilson(87.5, 100))


def test_being_made_to_be_rejected_is_a_result_but_no_worst_case(
    make_run: Callable[..., Run], make_counts: CountsFactory
) -> None:
    summary = summarise(make_run(), [make_counts("d", attack, "0.1", (100, 0, 0)) for attack in (REJECTION, "pgd")])

    assert [row.attack for row in summary.results] == [REJECTION, "pgd"]
    assert [row.attack for row in summary.worst] == ["pgd"]


def test_details_are_parsed_and_numbers_that_json_lacks_become_text(make_run: Callable[..., Run]) -> None:
    run = make_run(details='{"defenses": {"d": {"threshold": Infinity}}}')

    assert summarise(run, []).details == {"defenses": {"d": {"threshold": "Infinity"}}}


@pytest.mark.parametrize("details", ["", "{", "[]", "null"])
def test_unreadable_details_are_an_error_of_the_store_that_names_the_run(
    make_run: Callable[..., Run], details: str
) -> None:
    with pytest.raises(StoreError, match="0123456789ab"):
        summarise(make_run(details=details), [])


cells = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["pgd", "bim"]), st.sampled_from(["1", "0.1", "0.05", "2e-1"])),
    st.tuples(*[st.integers(0, 30)] * 3),
)


@given(cells, st.integers(0, 2**32))
def test_summary_accounts_for_every_outcome(
    make_run: Callable[..., Run],
    make_counts: CountsFactory,
    outcomes: dict[tuple[str, str, str], tuple[int, int, int]],
    seed: int,
) -> None:
    counts = [make_counts(*key, value) for key, value in outcomes.items()]

    summary = summarise(make_run(images=90), counts)

    assert sum(row.n for row in summary.results) == sum(map(sum, outcomes.values()))
    assert all(row.correct + row.wrong + row.rejected == row.n > 0 for row in summary.results)
    assert summary.complete == (bool(outcomes) and all(sum(value) == 90 for value in outcomes.values()))
    for worst in summary.worst:
        sweep = [row for row in summary.results if (row.defense, row.attack) == (worst.defense, worst.attack)]
        least = [row for row in sweep if row.accuracy == worst.accuracy]
        assert all(worst.accuracy <= row.accuracy for row in sweep)
        assert Decimal(worst.worst_case_epsilon) == min(Decimal(row.epsilon) for row in least)
        assert worst.accuracy_low <= worst.accuracy <= worst.accuracy_high

    # The order of the cells decides the order of the rows, never their content.
    random.Random(seed).shuffle(counts)
    shuffled = summarise(make_run(images=90), counts)
    assert set(shuffled.results) == set(summary.results)
    assert set(shuffled.worst) == set(summary.worst)
