from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import beta

from robench.analysis import clopper_pearson
from robench.analysis.calibrated import certified_rate, measured_rate

if TYPE_CHECKING:
    from tests.analysis.conftest import JudgedFactory


@pytest.mark.parametrize(("n", "above"), [(1, 0), (999, 0), (5000, 49), (10, 9)])
def test_certified_rate_has_the_mean_and_quantiles_of_its_beta_distribution(n: int, above: int) -> None:
    distribution = beta(above + 1, n - above)

    estimate = certified_rate(n, above)

    assert estimate.value == pytest.approx(distribution.mean())
    assert (estimate.low, estimate.high) == pytest.approx(distribution.ppf([0.025, 0.975]))
    assert estimate.n == n


def test_exceedance_of_an_order_statistic_falls_into_the_interval_as_often_as_it_says() -> None:
    n, above = 50, 4
    # Uniform scores exceed a threshold t with probability 1 - t.
    samples = np.sort(np.random.default_rng(0).random((20_000, n)), axis=1)
    rates = 1 - samples[:, n - 1 - above]

    estimate = certified_rate(n, above)

    assert rates.mean() == pytest.approx(estimate.value, abs=0.001)
    assert np.mean(rates < estimate.low) == pytest.approx(0.025, abs=0.004)
    assert np.mean(rates > estimate.high) == pytest.approx(0.025, abs=0.004)


def test_upper_bounds_of_certified_and_counted_rates_agree() -> None:
    assert certified_rate(2000, 19).high == pytest.approx(clopper_pearson(19, 2000)[1])


@pytest.mark.parametrize(("n", "above"), [(0, 0), (5, 5), (5, -1)])
def test_impossible_rank_is_refused(n: int, above: int) -> None:
    with pytest.raises(ValueError, match="ranks above"):
        certified_rate(n, above)


def test_measured_rate_is_the_share_of_rejected_clean_images_with_the_exact_interval(judged: JudgedFactory) -> None:
    estimate = measured_rate(judged("crRw" + "c" * 46))

    assert (estimate.value, estimate.n) == (0.04, 50)
    assert (estimate.low, estimate.high) == clopper_pearson(2, 50)
