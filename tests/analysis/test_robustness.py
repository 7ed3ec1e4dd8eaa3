from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench.analysis import wilson
from robench.analysis.robustness import (
    adversarial_proportion,
    robust_accuracy,
    stratified_robust_accuracy,
    strict_robust_accuracy,
)

if TYPE_CHECKING:
    from tests.analysis.conftest import JudgedFactory


def test_rejection_counts_as_robust_and_comes_with_the_interval_of_wilson(judged: JudgedFactory) -> None:
    estimate = robust_accuracy(judged("cwrRw"))

    assert (estimate.value, estimate.n) == (0.6, 5)
    assert (estimate.low, estimate.high) == wilson(3, 5)


def test_stochastic_defense_is_robust_to_the_share_of_draws_that_are_not_fooled(judged: JudgedFactory) -> None:
    assert robust_accuracy(judged("cw", fooled=[0.25, 0.75])).value == 0.5
    assert strict_robust_accuracy(judged("cw"), judged("cw", fooled=[0.25, 0.75])).value == 0.375


def test_clean_image_that_is_rejected_or_wrong_is_an_error_of_the_strict_measure(judged: JudgedFactory) -> None:
    assert strict_robust_accuracy(judged("cccwwrr"), judged("crwrwcw")).value == pytest.approx(2 / 7)


def test_rejecting_everything_is_robust_and_strictly_worthless(judged: JudgedFactory) -> None:
    nothing = judged("rrRr")

    assert robust_accuracy(nothing).value == 1
    assert strict_robust_accuracy(nothing, nothing).value == 0
    assert adversarial_proportion(nothing).value == 1


def test_clean_and_attacked_are_paired_by_image(judged: JudgedFactory) -> None:
    estimate = strict_robust_accuracy(judged("cr", images=[1, 2]), judged("wcc", images=[2, 1, 3]))

    assert (estimate.value, estimate.n) == (0.5, 2)


@pytest.mark.parametrize(("alpha", "expected"), [(0, 3 / 5), (0.49, 3 / 5), (0.5, 2 / 5), (0.99, 2 / 5), (1, 1 / 5)])
def test_rejection_within_alpha_of_epsilon_is_an_error(judged: JudgedFactory, alpha: float, expected: float) -> None:
    radius = np.array([np.inf, 0.05, 0.1, 0.0, np.inf])

    estimate = stratified_robust_accuracy(judged("crrrw"), radius, epsilon=0.1, alpha=alpha)

    assert estimate.value == pytest.approx(expected)


def test_rounding_does_not_forgive_a_rejection_at_the_very_radius(judged: JudgedFactory) -> None:
    assert 0.1 * 0.7 < 0.07

    assert stratified_robust_accuracy(judged("r"), np.array([0.07]), epsilon=0.7, alpha=0.1).value == 0


@pytest.mark.parametrize(
    ("radius", "epsilon", "alpha"),
    [([0.1], 0.1, 0.5), ([0.1, -1], 0.1, 0.5), ([0.1, np.nan], 0.1, 0.5), ([1, 1], -0.1, 0.5), ([1, 1], 0.1, 1.5)],
)
def test_impossible_radii_are_refused(judged: JudgedFactory, radius: list[float], epsilon: float, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"radii|range"):
        stratified_robust_accuracy(judged("cc"), np.array(radius), epsilon=epsilon, alpha=alpha)


@given(st.lists(st.sampled_from(["cc", "cr", "cw", "rr", "rw", "ww"]), min_size=1, max_size=30))
def test_measures_are_ordered_and_the_strict_one_is_the_stratified_one_at_zero(
    judged: JudgedFactory, ends: list[str]
) -> None:
    # An attack may leave an image as it is, so what is wrong when clean is wrong under attack.
    clean, attacked = judged("".join(end[0] for end in ends)), judged("".join(end[1] for end in ends))
    radius = np.where(clean.rejected, 0, np.where(attacked.rejected, 0.1, np.inf))

    at = [stratified_robust_accuracy(attacked, radius, epsilon=0.1, alpha=alpha).value for alpha in (0, 0.5, 1)]

    assert at[0] == pytest.approx(strict_robust_accuracy(clean, attacked).value)
    assert robust_accuracy(attacked).value >= at[0] >= at[1] >= at[2]
    assert at[2] == pytest.approx(np.mean(attacked.correct & clean.correct))
