"""The rules of diagnoses: what passes, what warns, what fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from robench.analysis import flags
from robench.analysis.flags import Tally

if TYPE_CHECKING:
    from tests.analysis.conftest import JudgedFactory


@pytest.mark.parametrize(("count", "status"), [(0, "PASS"), (1, "WARN"), (4, "WARN"), (5, "FAIL"), (100, "FAIL")])
def test_one_image_warns_and_many_fail(count: int, status: str) -> None:
    tally = Tally(count=count, of=100)
    for finding in (
        flags.order("pgd", tally),
        flags.silent_success("pgd", tally),
        flags.doubling("pgd", "steps", tally),
        flags.ablation("pgd", tally),
        flags.beaten("pgd", "transfer", tally, ["transfer"]),
        flags.zero_gradient("pgd", tally, Tally(count=0, of=100)),
        flags.zero_gradient("pgd", Tally(count=0, of=100), tally),
    ):
        assert finding.status == status
        assert finding.name.startswith("pgd: ")
        assert bool(finding.mend) is (status != "PASS")


def test_one_image_of_few_is_an_anecdote() -> None:
    assert Tally(count=1, of=10).status == "WARN"
    assert Tally(count=2, of=10).status == "FAIL"


def test_nothing_that_stands_is_nothing_wrong() -> None:
    assert flags.doubling("pgd", "steps", Tally(count=0, of=0)).status == "PASS"


def test_what_did_not_run_is_no_pass() -> None:
    finding = flags.not_run("pgd", "doubling", "it broke")
    assert (finding.status, finding.number, finding.meaning) == ("WARN", "not run", "it broke")
    assert flags.beaten("pgd", "transfer", Tally(count=0, of=9), []).number == "not run"


@pytest.mark.parametrize(
    ("smaller", "larger", "status"),
    [("cccccccc", "wwwwwwww", "PASS"), ("wcccwwww", "cwwwwwww", "PASS"), ("wccccccc", "cccccccc", "WARN")],
)
def test_robust_accuracy_must_not_rise(judged: JudgedFactory, smaller: str, larger: str, status: str) -> None:
    assert flags.monotone("pgd", {"0.1": judged(smaller), "0.2": judged(larger)}).status == status


def test_a_rise_that_luck_does_not_explain_fails(judged: JudgedFactory) -> None:
    finding = flags.monotone("pgd", {"0.1": judged("w" * 8), "0.2": judged("r" * 8)})
    assert finding.status == "FAIL"
    assert "+100.0 points" in finding.number
    several = {f"0.{number}": judged("wwwwwcc" if number == 1 else "ccccccc") for number in range(1, 5)}
    assert flags.monotone("pgd", several).status == "WARN"


def test_one_epsilon_cannot_show_a_rise(judged: JudgedFactory) -> None:
    assert flags.monotone("pgd", {"0.1": judged("cw")}).number == "not run"


def test_a_loss_that_still_rises_warns_unless_more_effort_wins_nothing() -> None:
    none, some = Tally(count=0, of=50), Tally(count=2, of=50)
    assert flags.incomplete("pgd", 0.04, None).status == "PASS"
    assert flags.incomplete("pgd", None, some).status == "PASS"
    assert flags.incomplete("pgd", 0.06, None).status == "WARN"
    assert flags.incomplete("pgd", 0.06, some).status == "WARN"
    assert flags.incomplete("pgd", 0.06, none).status == "PASS"


def test_controls_fail_at_the_first_image_they_must_not_lose() -> None:
    assert flags.unbounded("pgd", Tally(count=0, of=1000)).status == "PASS"
    assert flags.unbounded("pgd", Tally(count=1, of=1000)).status == "FAIL"
    assert flags.chance("pgd", Tally(count=15, of=50), 15).status == "PASS"
    assert flags.chance("pgd", Tally(count=16, of=50), 15).status == "FAIL"


@pytest.mark.parametrize(
    ("count", "declared", "averaging", "status"),
    [
        (0, False, False, "PASS"),
        (0, True, False, "PASS"),
        (9, True, True, "PASS"),
        (9, True, False, "FAIL"),
        (9, False, False, "FAIL"),
        (9, False, True, "FAIL"),
    ],
)
def test_randomness_passes_only_where_it_is_declared_and_averaged(
    count: int, declared: bool, averaging: bool, status: str
) -> None:
    finding = flags.randomised("pgd", Tally(count=count, of=9), declared=declared, averaging=averaging)
    assert finding.status == status


def test_rough_losses_and_probabilities_warn() -> None:
    assert flags.unstable_loss("pgd", 0.1).status == "PASS"
    assert flags.unstable_loss("pgd", 0.11).status == "WARN"
    assert flags.unstable_loss("pgd", float("nan")).status == "WARN"
    assert flags.probabilities("pgd", True).status == "WARN"
    assert flags.probabilities("pgd", False).status == "PASS"


def test_missing_gradient_of_a_defense_that_declares_it_calls_for_other_attacks() -> None:
    tally = Tally(count=100, of=100)
    finding = flags.zero_gradient("pgd", tally, tally, differentiable=False)
    assert finding.status == "FAIL"
    assert "attacks without gradients" in finding.mend
