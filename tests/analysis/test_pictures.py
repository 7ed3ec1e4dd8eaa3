"""What pictures are made of counts every image, and nothing twice."""

from __future__ import annotations

import numpy as np
import pytest

from robench.analysis.judged import Judged
from robench.analysis.pictures import critical_curve, roc_curve, score_histograms
from robench.api.records import Outcome


def judged(scores: list[float] | None, *, wrong: int = 0) -> Judged:
    """Images of class 0, the first of which are predicted as class 1 and accepted."""
    count = len(scores) if scores is not None else 4
    missed = np.arange(count) < wrong
    return Judged(
        image=np.arange(count),
        label=np.zeros(count, dtype=np.int64),
        prediction=missed.astype(np.int64),
        outcome=np.where(missed, Outcome.WRONG.value, Outcome.CORRECT.value),
        score=None if scores is None else np.array(scores),
        fooled=missed.astype(np.float64),
    )


def test_histograms_count_every_image_once_in_the_same_bins() -> None:
    samples = {"clean": judged([0.1, 0.2, 0.3, 0.9]), "attacked": judged([0.4, 0.5, 50.0], wrong=2)}
    clean, attacked = score_histograms("d", samples, 0.25)
    assert clean.edges == attacked.edges
    assert (sum(clean.right), sum(clean.wrong)) == (4, 0)
    assert (sum(attacked.right), sum(attacked.wrong)) == (1, 2)
    assert attacked.right[-1] == 1  # beyond the last edge, hence in the last bin


@pytest.mark.parametrize("threshold", [-3.0, 0.1, 0.10001, 0.3, 0.9, 49.0, 50.0, 70.0])
def test_what_is_rejected_lies_right_of_the_threshold_and_all_else_left(threshold: float) -> None:
    scores = [0.1, 0.2, 0.3, 0.3, 0.9, 50.0, threshold]
    (found,) = score_histograms("d", {"clean": judged(scores)}, threshold)
    border = next(place for place, edge in enumerate(found.edges) if edge > threshold)
    assert found.edges[border] == pytest.approx(threshold, abs=1e-12)
    assert sum(found.right[border:]) == sum(score > threshold for score in scores)
    assert sum(found.right) == len(scores)
    assert list(found.edges) == sorted(set(found.edges))


def test_scores_that_are_all_equal_have_a_histogram() -> None:
    (found,) = score_histograms("d", {"clean": judged([0.5, 0.5])}, 0.5)
    assert sum(found.right) == 2
    assert list(found.edges) == sorted(set(found.edges))


def test_a_defense_without_scores_has_no_histogram_and_no_roc() -> None:
    assert score_histograms("d", {"clean": judged(None)}, 0.1) == ()
    assert roc_curve("d", "pgd", judged(None), judged(None, wrong=2), 0.1) is None


def test_where_nothing_is_misclassified_there_is_no_roc() -> None:
    assert roc_curve("d", "pgd", judged([0.1, 0.2]), judged([0.3, 0.4]), 0.1) is None


def test_a_roc_runs_from_nothing_to_everything_and_never_falls() -> None:
    random = np.random.default_rng(0)
    clean = judged([float(value) for value in random.normal(0, 1, 500)])
    attacked = judged([float(value) for value in random.normal(1, 1, 500)], wrong=300)
    found = roc_curve("d", "pgd", clean, attacked, 0.5)
    assert found is not None
    for rates in (found.false_positive_rates, found.true_positive_rates):
        assert (rates[0], rates[-1]) == (0, 1)
        assert list(rates) == sorted(rates)
    assert len(found.false_positive_rates) <= 202
    assert (found.n_clean, found.n_adversarial) == (500, 300)
    assert found.auc == pytest.approx(0.76, abs=0.04)
    assert clean.score is not None
    assert found.at_threshold is not None
    assert found.at_threshold[0] == float((clean.score > 0.5).mean())


def test_a_perfect_detector_finds_everything_at_no_price() -> None:
    found = roc_curve("d", "pgd", judged([0.1, 0.2]), judged([0.8, 0.9], wrong=2), None)
    assert found is not None
    assert (0.0, 1.0) in zip(found.false_positive_rates, found.true_positive_rates, strict=True)
    assert found.at_threshold is None


def test_a_critical_curve_begins_with_what_is_right_when_clean() -> None:
    found = critical_curve("d", np.array([0.0, 0.1, 0.2, np.inf]), [0.1, 0.2])
    assert found.epsilons == (0.0, 0.1, 0.2)
    assert found.standing == (0.75, 0.5, 0.25)
    assert all(low <= value <= high for low, value, high in zip(found.low, found.standing, found.high, strict=True))
