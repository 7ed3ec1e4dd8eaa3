from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from robench.analysis.judged import aligned
from robench.errors import UsageError

if TYPE_CHECKING:
    from tests.analysis.conftest import JudgedFactory


def test_each_image_ends_in_one_way_and_may_be_misclassified_though_rejected(judged: JudgedFactory) -> None:
    one = judged("cwrR")

    assert one.correct.tolist() == [True, False, False, False]
    assert one.wrong.tolist() == [False, True, False, False]
    assert one.rejected.tolist() == [False, False, True, True]
    assert one.misclassified.tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": np.zeros(3, dtype=np.int64)}, "differ in shape"),
        ({"score": np.zeros(1)}, "differ in shape"),
        ({"image": np.array([5, 5])}, "judged twice"),
        ({"fooled": np.array([0.0, 1.1])}, r"outside \[0, 1\]"),
        ({"fooled": np.array([0.0, np.nan])}, r"outside \[0, 1\]"),
    ],
)
def test_columns_that_contradict_each_other_are_refused(
    judged: JudgedFactory, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(judged("cw"), **change)


def test_another_threshold_rejects_scores_above_it_and_nothing_else(judged: JudgedFactory) -> None:
    one = judged("cwrR", score=[3, 1, 2, 2], fooled=[0.5, 0.5, 0.5, 0.5]).at_threshold(2)

    assert one.outcome.tolist() == ["rejected", "wrong", "correct", "wrong"]
    assert one.fooled.tolist() == [0, 1, 0, 1]


def test_defense_without_scores_has_no_other_threshold(judged: JudgedFactory) -> None:
    with pytest.raises(ValueError, match="without scores"):
        judged("c").at_threshold(1)


def test_images_are_paired_by_their_index_and_those_that_one_lacks_are_left_out(judged: JudgedFactory) -> None:
    first, second = aligned(
        judged("cwr", images=[30, 10, 20], score=[3, 1, 2]),
        judged("rrcw", images=[10, 40, 30, 50], fooled=[0.1, 0, 0.3, 1]),
    )

    assert first.image.tolist() == second.image.tolist() == [10, 30]
    assert (first.outcome.tolist(), second.outcome.tolist()) == (["wrong", "correct"], ["rejected", "correct"])
    assert second.fooled.tolist() == [0.1, 0.3]
    assert first.score is not None
    assert first.score.tolist() == [1, 3]
    assert second.score is None


def test_results_without_a_common_image_are_refused(judged: JudgedFactory) -> None:
    with pytest.raises(UsageError, match="no image in common"):
        aligned(judged("cc", images=[1, 2]), judged("cc", images=[3, 4]))


def test_results_on_different_labels_are_refused(judged: JudgedFactory) -> None:
    other = replace(judged("cc", images=[7, 8]), label=np.array([0, 3]))

    with pytest.raises(UsageError, match="image 8 has different labels"):
        aligned(judged("cc", images=[7, 8]), other)
