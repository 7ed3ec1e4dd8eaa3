from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from robench.analysis.monotone import check_monotone

if TYPE_CHECKING:
    from tests.analysis.conftest import JudgedFactory


def test_largest_rise_is_found_between_any_two_epsilons(judged: JudgedFactory) -> None:
    images = [9, 8, 7, 6, 5, 4]
    found = check_monotone(
        {
            "0.1": judged("ccccww", images=images),
            "0.2": judged("cwwwww", images=images),
            "0.3": judged("wrwwcw", images=images),
            "0.4": judged("wccccr", images=images),
        }
    )

    # From 0.2 on, five images recover and one falls.
    assert (found.smaller, found.larger) == ("0.2", "0.4")
    assert found.rise == pytest.approx(4 / 6)
    assert found.p == pytest.approx((1 + 6) / 64)
    assert found.recovered == (4, 5, 6, 7, 8)


def test_image_that_falls_again_has_recovered_all_the_same(judged: JudgedFactory) -> None:
    found = check_monotone({"0.1": judged("wc"), "0.2": judged("rc"), "0.3": judged("ww")})

    assert found.recovered == (0,)


def test_curve_that_only_falls_has_a_negative_rise_and_nothing_recovered(judged: JudgedFactory) -> None:
    found = check_monotone({"1e-1": judged("cccc"), "0.05": judged("cccc"), "1": judged("wwww")})

    assert (found.smaller, found.larger, found.rise, found.p, found.recovered) == ("0.05", "1e-1", 0, 1, ())
    assert check_monotone({"0.1": judged("cc"), "0.2": judged("cw")}).rise == -0.5


@pytest.mark.parametrize("epsilons", [[], ["0.1"]])
def test_one_epsilon_cannot_rise(judged: JudgedFactory, epsilons: list[str]) -> None:
    with pytest.raises(ValueError, match="two epsilons"):
        check_monotone({epsilon: judged("c") for epsilon in epsilons})
