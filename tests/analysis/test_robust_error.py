from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from robench.analysis import wilson
from robench.analysis.robust_error import robust_error, robust_error_at_tpr

if TYPE_CHECKING:
    from tests.analysis.conftest import JudgedFactory


def test_errors_are_counted_among_images_accepted_clean_or_attacked(judged: JudgedFactory) -> None:
    estimate = robust_error(judged("ccwrrR"), judged("crRwcR"))

    # Errors: the third (clean) and the fourth (attacked). Only the last is never accepted.
    assert estimate is not None
    assert (estimate.value, estimate.n) == (0.4, 5)
    assert (estimate.low, estimate.high) == wilson(2, 5)


def test_defense_that_accepts_nothing_has_no_robust_error(judged: JudgedFactory) -> None:
    assert robust_error(judged("rr"), judged("rR")) is None


def test_threshold_accepts_the_given_share_of_correctly_classified_clean_images(judged: JudgedFactory) -> None:
    # Of 200 correctly classified images 2 may be rejected, so the threshold is 198. The misclassified one counts not.
    clean = judged("c" * 100 + "r" * 100 + "R", score=[*range(1, 201), 1e9])
    attacked = judged("R" * 201, score=[198.0] * 100 + [198.5] * 101)

    estimate = robust_error_at_tpr(clean, attacked)

    # Accepted when clean: 1 to 198. Accepted and wrong when attacked: the first 100.
    assert estimate is not None
    assert (estimate.n, estimate.value) == (198, 100 / 198)


def test_rounding_does_not_cost_an_image_of_the_share(judged: JudgedFactory) -> None:
    assert (1 - 0.9) * 10 < 1
    clean, attacked = judged("c" * 10, score=range(10)), judged("R" * 10, score=[8.5] * 10)

    estimate = robust_error_at_tpr(clean, attacked, tpr=0.9)

    assert estimate is not None
    assert (estimate.n, estimate.value) == (9, 0)


def test_without_scores_or_correct_images_there_is_no_such_threshold(judged: JudgedFactory) -> None:
    assert robust_error_at_tpr(judged("cc"), judged("cw")) is None
    assert robust_error_at_tpr(judged("wR", score=[1, 2]), judged("ww", score=[1, 2])) is None


@pytest.mark.parametrize("tpr", [0.0, 1.0, 1.5])
def test_impossible_share_is_refused(judged: JudgedFactory, tpr: float) -> None:
    with pytest.raises(ValueError, match="no threshold"):
        robust_error_at_tpr(judged("c", score=[1]), judged("w", score=[1]), tpr=tpr)
