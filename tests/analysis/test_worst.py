from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench.analysis.worst import wins, worst

if TYPE_CHECKING:
    from tests.analysis.conftest import JudgedFactory


def test_attacker_who_may_choose_wins_more_than_the_best_attack(judged: JudgedFactory) -> None:
    found = worst({"fgsm": judged("wcccc"), "pgd": judged("cwwcr"), "bim": judged("cwccw")})

    assert (found.attack, found.aggregate.value) == ("pgd", 0.6)
    assert found.per_image.value == pytest.approx(0.2)
    assert found.per_image.n == 5


def test_first_attack_is_named_where_several_tie(judged: JudgedFactory) -> None:
    assert worst({"b": judged("wc"), "a": judged("cw")}).attack == "b"


def test_attacks_are_paired_by_image(judged: JudgedFactory) -> None:
    found = worst({"a": judged("wc", images=[1, 2]), "b": judged("ccw", images=[2, 1, 3])})

    assert (found.attack, found.per_image.value, found.per_image.n) == ("a", 0.5, 2)


@given(st.lists(st.lists(st.floats(0, 1), min_size=6, max_size=6), min_size=1, max_size=4))
def test_worst_case_per_image_is_never_above_the_worst_attack(judged: JudgedFactory, shares: list[list[float]]) -> None:
    found = worst({str(place): judged("cccccc", fooled=fooled) for place, fooled in enumerate(shares)})

    assert found.per_image.value <= found.aggregate.value + 1e-12
    assert found.aggregate.value == pytest.approx(1 - max(map(np.mean, shares)))


def test_no_attacks_have_no_worst() -> None:
    with pytest.raises(ValueError, match="no attack"):
        worst({})


def test_wins_are_unique_where_no_other_attack_won() -> None:
    found = wins({"fgsm": {4}, "pgd": {9, 4, 3, 2}, "bim": {3}, "none": set()})

    assert [(one.attack, one.count, one.unique) for one in found] == [
        ("fgsm", 1, ()),
        ("pgd", 4, (2, 9)),
        ("bim", 1, ()),
        ("none", 0, ()),
    ]


def test_only_attack_wins_everything_uniquely() -> None:
    assert [one.unique for one in wins({"pgd": {2, 1}})] == [(1, 2)]
