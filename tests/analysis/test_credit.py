"""Who won what, where an ensemble spares later attacks what earlier ones have won."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.analysis.credit import Credit, assign_credit

if TYPE_CHECKING:
    from tests.analysis.conftest import JudgedFactory


def test_what_all_others_lost_was_won_alone_and_what_they_were_spared_was_won_first(judged: JudgedFactory) -> None:
    found = assign_credit(
        {
            "early": {"0.2": judged("wcc", images=[1, 2, 3])},
            "late": {"0.2": judged("wc", images=[2, 3])},
        },
        judged("ccc", images=[1, 2, 3]),
    )
    assert found == {
        "early": Credit(alone=0, first=1),
        "late": Credit(alone=1, first=0),
    }


def test_a_win_at_a_smaller_epsilon_is_a_win_and_a_loss_at_a_larger_one_is_a_loss(judged: JudgedFactory) -> None:
    found = assign_credit(
        {
            "a": {"0.2": judged("www", images=[1, 2, 3])},
            "b": {"0.1": judged("wc", images=[1, 2]), "0.3": judged("c", images=[3])},
        },
        judged("ccc", images=[1, 2, 3]),
    )
    assert found["a"] == Credit(alone=1, first=1)  # 3 alone; b was not tried on 2 at 0.2 or beyond
    assert found["b"] == Credit(alone=0, first=1)


def test_a_rejection_is_no_win_and_an_attack_without_others_wins_alone(judged: JudgedFactory) -> None:
    assert assign_credit({"a": {"0.1": judged("wrc")}}, judged("ccc")) == {"a": Credit(alone=1, first=0)}
    assert assign_credit({}, judged("c")) == {}


def test_an_image_that_is_wrong_when_clean_is_nobodys_win(judged: JudgedFactory) -> None:
    assert assign_credit({"a": {"0.1": judged("ww")}}, judged("wc")) == {"a": Credit(alone=1, first=0)}
