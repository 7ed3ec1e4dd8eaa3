from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from robench.analysis.comparison import Evaluated, compare, holm
from robench.analysis.mcnemar import Discordance
from robench.errors import UsageError

if TYPE_CHECKING:
    from tests.analysis.conftest import JudgedFactory


@given(st.integers(0, 60), st.integers(0, 60))
def test_p_of_discordant_pairs_is_that_of_the_binomial_test(only_first: int, only_second: int) -> None:
    discordance = Discordance(only_first=only_first, only_second=only_second, n=200)
    discordant = only_first + only_second

    expected = binomtest(only_first, discordant).pvalue if discordant else 1
    greater = binomtest(only_second, discordant, alternative="greater").pvalue if discordant else 1
    assert discordance.p == pytest.approx(expected)
    assert discordance.p_second_greater == pytest.approx(greater)


def test_only_images_that_differ_are_counted_on_their_side() -> None:
    first, second = np.array([True, True, True, False, False]), np.array([True, False, False, True, False])

    discordance = Discordance.between(first, second)

    assert (discordance.only_first, discordance.only_second, discordance.n) == (2, 1, 5)
    assert discordance.difference == -0.2


@pytest.mark.parametrize(
    ("ps", "expected"),
    [
        ([], []),
        ([0.04], [0.04]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.6], [1, 1]),
        ([0.02, 0.02], [0.04, 0.04]),
    ],
)
def test_holm_multiplies_by_what_is_left_and_never_falls(ps: list[float], expected: list[float]) -> None:
    assert holm(ps) == pytest.approx(expected)


def test_defenses_are_compared_by_strict_robustness_at_each_epsilon(judged: JudgedFactory) -> None:
    first = Evaluated(clean=judged("cccccccc"), attacked={"0.2": judged("wwwwwwwc"), "0.1": judged("cccccccw")})
    second = Evaluated(clean=judged("cccccccr"), attacked={"0.1": judged("cccccccr"), "0.2": judged("rrrrrrrr")})

    comparison = compare(first, second)

    small, large = comparison.epsilons
    assert (small.epsilon, small.robust) == ("0.1", Discordance(only_first=0, only_second=0, n=8))
    assert (large.epsilon, large.robust) == ("0.2", Discordance(only_first=1, only_second=7, n=8))
    assert large.robust.p == pytest.approx(2 * 9 / 256)
    assert small.p_adjusted == 1
    assert large.p_adjusted == pytest.approx(4 * 9 / 256)
    assert comparison.clean_rejected == Discordance(only_first=0, only_second=1, n=8)


def test_defenses_that_reject_clean_images_at_different_rates_are_told_apart(judged: JudgedFactory) -> None:
    eager, calm = judged("r" * 10 + "c" * 90), judged("c" * 100)
    attacked = {"0.1": judged("w" * 100)}

    comparison = compare(Evaluated(clean=eager, attacked=attacked), Evaluated(clean=calm, attacked=attacked))

    assert comparison.clean_rejected.p == pytest.approx(2 * 0.5**10)


def test_epsilons_ascend_as_numbers_and_only_common_images_count(judged: JudgedFactory) -> None:
    clean = judged("ccc", images=[1, 2, 3])
    first = Evaluated(clean=clean, attacked={"10": judged("ccc", images=[1, 2, 3]), "9": judged("cc", images=[2, 3])})
    second = Evaluated(
        clean=clean,
        attacked={
            "9": judged("www", images=[1, 2, 3]),
            "10": judged("www", images=[1, 2, 3]),
            "0.5": judged("c", images=[1]),
        },
    )

    nine, ten = compare(first, second).epsilons

    assert (nine.epsilon, nine.robust.only_first, nine.robust.n) == ("9", 2, 2)
    assert (ten.epsilon, ten.robust.only_first, ten.robust.n) == ("10", 3, 3)


def test_defenses_with_nothing_in_common_are_refused(judged: JudgedFactory) -> None:
    first = Evaluated(clean=judged("c", images=[1]), attacked={"0.1": judged("c", images=[1])})
    elsewhere = Evaluated(clean=judged("c", images=[2]), attacked={"0.1": judged("c", images=[2])})
    otherwise = Evaluated(clean=judged("c", images=[1]), attacked={"0.2": judged("c", images=[1])})

    with pytest.raises(UsageError, match="no image in common"):
        compare(first, elsewhere)
    with pytest.raises(UsageError, match="no epsilon in common"):
        compare(first, otherwise)
