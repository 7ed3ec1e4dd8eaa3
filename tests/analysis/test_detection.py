from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench.analysis import wilson
from robench.analysis.detection import detection, smallest_threshold

if TYPE_CHECKING:
    from tests.analysis.conftest import JudgedFactory

# Few values, so that many tie.
scores = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=25)


@given(scores, scores)
def test_auc_is_the_share_of_pairs_in_order_with_ties_half(
    judged: JudgedFactory, clean: list[float], adversarial: list[float]
) -> None:
    pairs = [(a > c) + 0.5 * (a == c) for a in adversarial for c in clean]

    found = detection(judged("c" * len(clean), score=clean), judged("R" * len(adversarial), score=adversarial))

    assert found is not None
    assert found.auc == pytest.approx(np.mean(pairs))


def test_only_misclassified_images_are_adversarials_accepted_or_not(judged: JudgedFactory) -> None:
    found = detection(judged("ccR", score=[1, 2, 3]), judged("cwrR", score=[0, 2.5, 0, 9]), rates=[0.5])

    assert found is not None
    assert found.auc == pytest.approx(5 / 6)
    assert found.n == 2
    assert [point.true_positive_rate and point.true_positive_rate.n for point in found.points] == [2]


def test_detections_are_counted_above_a_threshold_that_so_few_clean_scores_exceed(judged: JudgedFactory) -> None:
    clean = judged("c" * 1000, score=range(1, 1001))
    attacked = judged("w" * 4, score=[940, 950.5, 995, 1000])

    found = detection(clean, attacked)

    assert found is not None
    assert [point.false_positive_rate for point in found.points] == [0.001, 0.01, 0.05]
    assert [point.threshold for point in found.points] == [999, 990, 950]
    rates = [point.true_positive_rate for point in found.points]
    assert [rate and rate.value for rate in rates] == [0.25, 0.5, 0.75]
    assert rates[1] is not None
    assert (rates[1].low, rates[1].high) == wilson(2, 4)


@pytest.mark.parametrize(("images", "known"), [(6, 0), (19, 0), (20, 1), (99, 1), (100, 2), (999, 2), (1000, 3)])
def test_a_rate_that_so_few_clean_images_cannot_resolve_is_not_claimed(
    judged: JudgedFactory, images: int, known: int
) -> None:
    found = detection(judged("c" * images, score=range(images)), judged("w", score=[images]))

    assert found is not None
    told = [point.false_positive_rate for point in found.points if point.true_positive_rate is not None]
    assert told == [0.05, 0.01, 0.001][:known][::-1]


@given(scores, st.floats(0.01, 0.99))
def test_threshold_is_the_smallest_score_that_the_share_allows(values: list[float], share: float) -> None:
    threshold = smallest_threshold(np.array(values), share)

    assert np.mean(np.array(values) > threshold) <= share + 1e-9
    assert all(np.mean(np.array(values) > smaller) > share for smaller in values if smaller < threshold)


def test_nothing_to_detect_or_to_detect_it_with_gives_no_rating(judged: JudgedFactory) -> None:
    assert detection(judged("cc", score=[1, 2]), judged("cr", score=[1, 2])) is None
    assert detection(judged("cc"), judged("ww")) is None


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_impossible_rate_is_refused(judged: JudgedFactory, rate: float) -> None:
    with pytest.raises(ValueError, match="no threshold"):
        detection(judged("c", score=[1]), judged("w", score=[1]), rates=[rate])
