"""Two defenses of a stored run, compared image by image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from robench.api.records import CLEAN, WORST_CASE, Outcome
from robench.errors import StoreError, UsageError
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from robench.session.comparison import DefenseComparison
    from tests.conftest import ToyLab


def compare(lab: ToyLab, first: str, second: str, **choices: str) -> DefenseComparison:
    return lab.session().compare(str(lab.folder / "toys.db"), first, second, **choices)


def test_the_counts_are_those_of_the_stored_outcomes(lab: ToyLab) -> None:
    summary = lab.run(attacks=("fgsm",), epsilons="0.2,0.1")
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        ends = {
            (count.cell.defense, count.cell.attack, count.cell.epsilon): [
                item.outcome for item in store.outcomes(summary.run.id, count.cell.key)
            ]
            for count in store.counts(summary.run.id)
        }

    def robust(defense: str, epsilon: str) -> list[bool]:
        pairs = zip(ends[defense, CLEAN, "0"], ends[defense, "fgsm", epsilon], strict=True)
        return [clean is Outcome.CORRECT and attacked is not Outcome.WRONG for clean, attacked in pairs]

    found = compare(lab, "none", "toy-detect")

    assert (found.run, found.attack) == (summary.run.id, "fgsm")
    assert [row.epsilon for row in found.epsilons] == ["0.1", "0.2"]
    for row in found.epsilons:
        first, second = robust("none", row.epsilon), robust("toy-detect", row.epsilon)
        pairs = list(zip(first, second, strict=True))
        assert (row.n, row.first, row.second) == (60, sum(first) / 60, sum(second) / 60)
        assert (row.only_first, row.only_second) == (pairs.count((True, False)), pairs.count((False, True)))
        assert row.p_adjusted >= row.p


def test_a_detector_that_catches_everything_is_more_robust_whichever_comes_first(lab: ToyLab) -> None:
    lab.run(attacks=("fgsm",), epsilons="0.3")
    (row,) = compare(lab, "none", "toy-detect").epsilons
    (mirrored,) = compare(lab, "toy-detect", "none").epsilons
    assert (row.more_robust, mirrored.more_robust) == ("second", "first")
    assert (row.only_second, row.p) == (mirrored.only_first, mirrored.p)


def test_a_defense_beside_its_like_shows_no_difference_and_matching_rates(lab: ToyLab) -> None:
    lab.run(attacks=("toy-corner",), epsilons="0.1")
    found = compare(lab, "none", "toy-noise")
    assert {row.more_robust for row in found.epsilons} == {None}
    assert found.rates.matched
    assert found.rates.nominal == 0.01


def test_a_detector_beside_none_has_no_matching_rate(lab: ToyLab) -> None:
    lab.run(attacks=("toy-corner",), epsilons="0.1")
    rates = compare(lab, "none", "toy-detect").rates
    assert not rates.matched
    assert rates.rules == "none never rejects and toy-detect follows the rule finite-sample"


def test_the_composite_attack_comes_before_the_first(lab: ToyLab) -> None:
    lab.run(worst_case=True)
    assert compare(lab, "none", "toy-noise").attack == WORST_CASE


def test_the_newest_run_with_both_defenses_counts(lab: ToyLab) -> None:
    both = lab.run(epsilons="0.1").run.id
    lab.run(epsilons="0.2", defenses=("none",))
    assert compare(lab, "none", "toy-noise").run == both


@pytest.mark.parametrize(
    ("first", "second", "choices", "complaint"),
    [
        ("none", "none", {}, "none is to be compared with itself"),
        ("none", "puvae", {}, "no run in the store has both none and puvae"),
        ("none", "toy-noise", {"attack": "fgms"}, "has no attack 'fgms'; did you mean \"fgsm\""),
        ("none", "toy-noise", {"run": ""}, "the beginning of a run's id is empty"),
        ("none", "toy-noise", {"run": "zz"}, "no run in the store whose id begins with 'zz'"),
        ("none", "toy-noise", {"attack": "broken-crash"}, "holds no outcomes of broken-crash on none"),
    ],
)
def test_what_the_run_lacks_is_named(
    lab: ToyLab, first: str, second: str, choices: dict[str, str], complaint: str
) -> None:
    lab.run(defenses=("none", "toy-noise"), attacks=("fgsm", "broken-crash"), epsilons="0.1", images=10)
    with pytest.raises(UsageError) as refusal:
        compare(lab, first, second, **choices)
    assert complaint in str(refusal.value)


def test_a_defense_that_a_run_lacks_is_named_with_its_like(lab: ToyLab) -> None:
    run = lab.run(defenses=("none", "toy-noise"), attacks=("fgsm",), epsilons="0.1", images=10).run.id
    with pytest.raises(UsageError, match="has no defense 'toy-nose'; did you mean \"toy-noise\""):
        compare(lab, "none", "toy-nose", run=run)


def test_a_store_that_is_not_there_is_named(lab: ToyLab) -> None:
    with pytest.raises(StoreError, match=r"toys\.db"):
        compare(lab, "none", "toy-noise")
