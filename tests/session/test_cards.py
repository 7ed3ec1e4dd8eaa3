"""Evaluation cards: written at the end of a run, stored, and never more flattering than the store."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from robench.api.records import ADAPTIVE
from robench.report.formats import FORMATS, render
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from robench.api.records import Card, RunSummary
    from tests.conftest import ToyLab

LINES = ("THREAT", "CLEAN", "ROBUST", "STRATA", "NAIVE", "WINS", "DIAG", "STABLE", "CONTEXT", "VERDICT")


def run(
    lab: ToyLab, *attacks: str, defenses: tuple[str, ...] = ("none", "toy-detect"), **changes: object
) -> RunSummary:
    return lab.run(attacks=attacks, defenses=defenses, images=30, **changes)  # type: ignore[arg-type]


def card(summary: RunSummary, defense: str) -> Card:
    (found,) = (card for card in summary.cards if card.defense == defense)
    return found


def strict(summary: RunSummary, defense: str, epsilon: str) -> float:
    (found,) = (
        metric.value
        for metric in card(summary, defense).metrics
        if (metric.epsilon, metric.name) == (epsilon, "strict robust accuracy")
    )
    assert found is not None
    return found


def test_every_defense_gets_ten_lines_and_the_store_keeps_them(lab: ToyLab) -> None:
    summary = run(lab, "pgd", ADAPTIVE)
    assert [card.defense for card in summary.cards] == ["none", "toy-detect"]
    for one in summary.cards:
        assert tuple(name for name, _ in one.lines) == LINES
        assert all(text for _, text in one.lines)
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        assert tuple(store.cards(summary.run.id).values()) == summary.cards
        assert {"none", "toy-detect"} <= set(store.findings(summary.run.id))


@pytest.mark.parametrize("form", FORMATS)
def test_every_report_shows_the_verdict(lab: ToyLab, form: str) -> None:
    summary = run(lab, "pgd", ADAPTIVE, defenses=("none",), epsilons="0.1")
    assert card(summary, "none").verdict in render(summary, form)


def test_the_headline_is_the_ensemble_and_the_gap_to_the_naive_number_is_told(lab: ToyLab) -> None:
    summary = run(lab, "pgd", ADAPTIVE)
    accuracy = {(row.attack, row.epsilon): row.accuracy for row in summary.results if row.defense == "toy-detect"}
    assert strict(summary, "toy-detect", "0.3") <= accuracy[ADAPTIVE, "0.3"] < accuracy["pgd", "0.3"]
    lines = dict(card(summary, "toy-detect").lines)
    assert "points too good" in lines["NAIVE"]
    assert lines["CONTEXT"].startswith("than no defense")
    assert "adaptive: " in lines["DIAG"]
    assert "robench run" in lines["VERDICT"]
    assert dict(card(summary, "none").lines)["CONTEXT"].startswith("this is the baseline; implied at half")


def test_an_attack_added_later_only_lowers_the_bound_also_for_whoever_had_less(lab: ToyLab) -> None:
    weak = run(lab, "toy-corner", defenses=("none",))
    strong = run(lab, ADAPTIVE, defenses=("none",))
    again = run(lab, "toy-corner", defenses=("none",))
    assert again.run.id == weak.run.id
    for epsilon in ("0.1", "0.3"):
        assert strict(again, "none", epsilon) == pytest.approx(strict(strong, "none", epsilon))
        assert strict(again, "none", epsilon) <= strict(weak, "none", epsilon)
    assert strict(again, "none", "0.3") < strict(weak, "none", "0.3")


def test_a_card_that_says_nothing_new_is_not_written_again(lab: ToyLab) -> None:
    first, second = (run(lab, "pgd", defenses=("none",), epsilons="0.1") for _ in range(2))
    assert first.cards == second.cards


def test_naive_attacks_alone_bound_nothing_and_failed_diagnostics_are_the_verdict(lab: ToyLab) -> None:
    summary = run(lab, "pgd", defenses=("toy-detect",))
    failed = [text for name, text in card(summary, "toy-detect").lines if name == "DIAG" and "FAIL" in text]
    verdict = card(summary, "toy-detect").verdict
    assert verdict.startswith("UNRELIABLE: pgd: " if failed else "upper bound only, by pgd (naive)")
    assert failed  # the masked head stops PGD at the threshold, and that shows


@pytest.mark.parametrize("attack", ["fgsm", "toy-closest"])
def test_a_card_says_why_nothing_was_diagnosed(lab: ToyLab, attack: str) -> None:
    summary = run(lab, attack, defenses=("none",), epsilons="0.1")
    assert dict(card(summary, "none").lines)["DIAG"] == "not run: no attack of this run takes steps in a ball"


def test_the_verdict_names_the_attacks_that_won_and_what_they_knew(lab: ToyLab) -> None:
    first = card(run(lab, "toy-corner", defenses=("none",), epsilons="0.3"), "none").verdict
    assert first.startswith("upper bound only, by toy-corner (oblivious): at most")
    run(lab, "fgsm", defenses=("none",), epsilons="0.1,0.3")
    again = card(run(lab, "toy-corner", defenses=("none",), epsilons="0.3"), "none").verdict
    assert "fgsm of another run: at most" in again


def test_wins_of_other_runs_are_named_whatever_the_verdict(lab: ToyLab) -> None:
    """Names alone do not tell: both runs have an attack of that name."""
    alone = run(lab, "pgd", defenses=("toy-detect",), epsilons="0.3")
    assert "of another run" not in dict(card(alone, "toy-detect").lines)["ROBUST"]
    run(lab, ADAPTIVE, defenses=("toy-detect",), epsilons="0.05,0.2")
    again = card(run(lab, "pgd", defenses=("toy-detect",), epsilons="0.3"), "toy-detect")
    assert again.verdict.startswith("UNRELIABLE")
    (tail,) = re.findall("; with wins of (.*) of another run$", dict(again.lines)["ROBUST"])
    assert set(tail.split(", ")) <= {"noise", "transfer", "joint", "forced-class"}
    later = card(run(lab, ADAPTIVE, defenses=("toy-detect",), epsilons="0.3"), "toy-detect")
    assert "; with wins of " in dict(later.lines)["ROBUST"]  # of the same attacks at smaller epsilons


def test_cards_are_json(lab: ToyLab) -> None:
    summary = run(lab, "pgd", ADAPTIVE, defenses=("none",), epsilons="0.1")
    (document,) = json.loads(render(summary, "json"))["cards"]
    assert document["verdict"] == card(summary, "none").verdict
    assert {"epsilon", "name", "value", "low", "high", "n"} == set(document["metrics"][0])


def test_the_card_says_who_alone_won_what_was_not_measured_and_what_half_the_epsilon_implies(lab: ToyLab) -> None:
    summary = run(lab, "pgd", ADAPTIVE, epsilons="0.1,0.2")
    lines = dict(card(summary, "toy-detect").lines)
    assert "pgd " in lines["WINS"]
    assert lines["WINS"].count(": alone ") == lines["WINS"].count(" queries, ") >= 3
    assert "2x effort: pgd " in lines["STABLE"]
    assert "adaptive " in lines["STABLE"]
    assert " wins survive" in lines["STABLE"]
    assert "latent redraw" not in lines["STABLE"]  # nothing is random
    assert lines["CONTEXT"].endswith(
        f"; at half the largest eps, 0.1: strict {100 * strict(summary, 'toy-detect', '0.1'):.1f}"
    )
    clean_only = dict(card(run(lab, "fgsm", defenses=("none",), epsilons="0.1"), "none").lines)
    assert "8-bit rounding: not run" in clean_only["STABLE"]
    assert "0.05, not evaluated: strict at least" in clean_only["CONTEXT"]


def test_a_stochastic_defense_is_asked_once_more_about_what_won(lab: ToyLab) -> None:
    lines = dict(card(run(lab, ADAPTIVE, defenses=("toy-noise",), epsilons="0.1,0.3"), "toy-noise").lines)
    assert "latent redraw: adaptive " in lines["STABLE"]
    assert "of fresh ones (n " in lines["STABLE"]


def test_an_attack_that_wants_rejections_bounds_nothing(lab: ToyLab) -> None:
    summary = run(lab, "max-score", defenses=("toy-detect",))
    assert card(summary, "toy-detect").verdict == "nothing is bounded: no attack was after a wrong answer"


def test_the_command_that_asks_again_names_no_place_of_this_machine(lab: ToyLab) -> None:
    summary = run(lab, "fgsm", defenses=("none",), epsilons="0.1")
    assert "replay: robench run --dataset toy-bars" in dict(card(summary, "none").lines)["VERDICT"]
    assert str(lab.folder) not in summary.run.details
