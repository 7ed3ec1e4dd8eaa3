from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from robench.analysis import wilson
from robench.analysis.critical import median_critical, survival


def test_image_survives_every_epsilon_below_its_critical_one() -> None:
    curve = survival(np.array([0.0, 0.1, 0.1, 0.3, np.inf]), [0.0, 0.05, 0.1, 0.2, 0.3])

    assert [point.value for point in curve] == [0.8, 0.8, 0.4, 0.4, 0.2]
    assert (curve[0].low, curve[0].high, curve[0].n) == (*wilson(4, 5), 5)


@pytest.mark.parametrize(
    ("critical", "median"),
    [([0.1], 0.1), ([0.2, 0.1], 0.1), ([0.3, 0.1, 0.2], 0.2), ([0.1, np.inf], 0.1), ([0.1, np.inf, np.inf], math.inf)],
)
def test_median_is_the_smallest_epsilon_that_fools_half_of_the_images(critical: list[float], median: float) -> None:
    assert median_critical(np.array(critical)).value == median


@pytest.mark.parametrize(("n", "low", "high"), [(6, 1, 6), (9, 2, 8), (10, 2, 9), (20, 6, 15), (100, 40, 61)])
def test_interval_of_the_median_runs_between_the_tabulated_ranks(n: int, low: int, high: int) -> None:
    critical = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))

    estimate = median_critical(critical)

    assert (estimate.low, estimate.high, estimate.n) == (low, high, n)


def test_interval_leaves_out_as_much_as_it_may_and_no_more() -> None:
    n = 500
    estimate = median_critical(np.arange(1.0, n + 1))

    assert binom.cdf(estimate.low - 1, n, 0.5) <= 0.025 < binom.cdf(estimate.low, n, 0.5)
    assert estimate.low + estimate.high == n + 1


def test_few_images_bound_nothing() -> None:
    estimate = median_critical(np.array([0.1] * 5))

    assert (estimate.low, estimate.high) == (0, math.inf)


def test_interval_may_end_beyond_the_largest_epsilon() -> None:
    estimate = median_critical(np.array([0.1] * 5 + [np.inf] * 5))

    assert (estimate.value, estimate.low, estimate.high) == (0.1, 0.1, math.inf)


def test_interval_of_the_median_covers_it_in_samples_with_ties() -> None:
    # The median of this distribution is 2: of the images, 40 % are fooled at 1 and 70 % at 2.
    random = np.random.default_rng(1)
    samples = random.choice([1.0, 2.0, np.inf], p=[0.4, 0.3, 0.3], size=(400, 30))

    covered = [estimate.low <= 2 <= estimate.high for estimate in map(median_critical, samples)]

    assert np.mean(covered) >= 0.95


@pytest.mark.parametrize("critical", [[], [-0.1], [np.nan, 0.1]])
def test_impossible_critical_epsilons_are_refused(critical: list[float]) -> None:
    with pytest.raises(ValueError, match="critical epsilons"):
        median_critical(np.array(critical))
    with pytest.raises(ValueError, match="critical epsilons"):
        survival(np.array(critical), [0.1])
