"""Thresholds from clean scores."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robench.engine.calibration import check_rate, exceedance, grid_threshold, rank_threshold
from robench.errors import UsageError


def test_six_thousand_images_at_one_in_a_thousand_leave_five_above() -> None:
    scores = torch.arange(6000, dtype=torch.float32)
    threshold = rank_threshold(scores, 0.001)
    assert int((scores > threshold).sum()) == 5
    assert exceedance(scores, threshold) <= 0.001


@settings(max_examples=200, deadline=None)
@given(
    count=st.integers(20, 400),
    rate=st.floats(0.06, 0.9),
    seed=st.integers(0, 2**32 - 1),
)
def test_at_most_the_rate_lies_above_the_threshold(count: int, rate: float, seed: int) -> None:
    scores = torch.rand(count, generator=torch.Generator().manual_seed(seed))
    above = int((scores > rank_threshold(scores, rate)).sum())
    # The guarantee for a fresh score: (above + 1) / (n + 1) <= rate; and the threshold is the tightest such score.
    assert (above + 1) / (count + 1) <= rate + 1e-6
    assert (above + 2) / (count + 1) > rate - 1e-6


def test_fresh_scores_exceed_the_threshold_as_rarely_as_promised() -> None:
    generator = torch.Generator().manual_seed(0)
    rates = []
    for _ in range(300):
        threshold = rank_threshold(torch.rand(200, generator=generator), 0.05)
        rates.append(1 - threshold)  # the true rate for uniform scores
    assert sum(rates) / len(rates) <= 0.05


def test_a_rate_that_cannot_be_certified_is_refused_with_the_number_it_takes() -> None:
    with pytest.raises(
        UsageError, match=r"0\.0001 cannot be certified with 6,000 validation images; it takes at least 9,999"
    ):
        rank_threshold(torch.rand(6000), 0.0001)
    with pytest.raises(UsageError):
        check_rate("finite-sample", 0.0001, 6000)
    check_rate("finite-sample", 0.0001, 9999)
    check_rate("paper-grid", 0.0001, 6000)


def test_the_paper_grid_takes_the_first_value_that_flags_few_enough() -> None:
    scores = torch.cat([torch.full((994,), 0.04), torch.tensor([0.11, 0.12, 0.13, 0.14, 0.15, 0.16])])
    assert grid_threshold(scores, 0.001) == 0.15
    assert grid_threshold(scores, 0.01) == 0.05


def test_the_paper_grid_says_when_it_is_exhausted() -> None:
    with pytest.raises(UsageError, match="no threshold of the paper's grid"):
        grid_threshold(torch.full((1000,), 0.5), 0.01)
