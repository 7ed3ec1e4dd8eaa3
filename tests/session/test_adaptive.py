"""Runs in which an ensemble adapts to the defense, on toys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Self

import pytest

from robench.api.records import ADAPTIVE, REJECTION, WORST_CASE, Outcome
from robench.engine.progress import Silent
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from robench.api.records import CellCounts, ImageOutcome, RunSummary
    from tests.conftest import ToyLab

MEMBERS = ("noise", "transfer", "joint", "forced-class")
"""What the budget quick puts against any toy, the cheapest first."""


def run(lab: ToyLab, *defenses: str, **changes: object) -> RunSummary:
    settings = {"attacks": (ADAPTIVE,), "defenses": defenses, "images": 30, **changes}
    return lab.run(**settings)  # type: ignore[arg-type]


def stored(lab: ToyLab, summary: RunSummary) -> dict[tuple[str, str, str], tuple[ImageOutcome, ...]]:
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        return {
            (count.cell.defense, count.cell.attack, count.cell.epsilon): store.outcomes(summary.run.id, count.cell.key)
            for count in (*store.counts(summary.run.id), *store.member_counts(summary.run.id))
        }


def members(lab: ToyLab, summary: RunSummary) -> tuple[CellCounts, ...]:
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        return store.member_counts(summary.run.id)


def forget(lab: ToyLab) -> None:
    (lab.folder / "toys.db").unlink()


def test_the_undefended_classifier_stands_beside_what_is_attacked_adaptively(lab: ToyLab) -> None:
    assert run(lab, "toy-noise", images=5, epsilons="0.1").defenses == ("none", "toy-noise")
    assert run(lab, "toy-noise", "none", images=5, epsilons="0.1").defenses == ("toy-noise", "none")
    assert run(lab, "toy-noise", images=5, attacks=("fgsm",)).defenses == ("toy-noise",)


def test_an_ensemble_is_recorded_as_one_attack_and_beats_the_naive_ones(lab: ToyLab) -> None:
    summary = run(lab, "toy-detect", attacks=("fgsm", "pgd", ADAPTIVE), epsilons="0.1,0.2,0.3")
    assert summary.complete
    assert summary.attacks == ("fgsm", "pgd", ADAPTIVE, REJECTION)
    assert {row.knowledge for row in summary.results if row.attack == ADAPTIVE} == {"adaptive"}
    accuracy = {(row.attack, row.epsilon): row.accuracy for row in summary.results if row.defense == "toy-detect"}
    for epsilon in ("0.1", "0.2", "0.3"):
        assert accuracy[ADAPTIVE, epsilon] <= min(accuracy["fgsm", epsilon], accuracy["pgd", epsilon])
    assert accuracy[ADAPTIVE, "0.3"] < accuracy["pgd", "0.3"]  # whom the masked head of the detector stops
    curve = [accuracy[ADAPTIVE, epsilon] for epsilon in ("0.1", "0.2", "0.3")]
    assert curve == sorted(curve, reverse=True)


def test_members_are_stored_with_what_they_were_really_tried_on(lab: ToyLab) -> None:
    summary = run(lab, "none", epsilons="0.1,0.3")
    counted = members(lab, summary)
    assert tuple(dict.fromkeys(count.cell.attack for count in counted)) == MEMBERS
    assert {count.cell.ensemble for count in counted} == {counted[0].cell.ensemble}
    assert all(count.cell.member for count in counted)
    tried = {(count.cell.attack, count.cell.epsilon): count.n for count in counted}
    assert tried["noise", "0.3"] == 30  # the first question is whether an attack does better at all
    assert tried["forced-class", "0.3"] < 30  # what has fallen to the others is left alone
    assert sum(count.queries for count in counted) > 0
    whole = stored(lab, summary)
    won: set[int] = set()
    for attack in MEMBERS:
        outcomes = whole["none", attack, "0.3"]
        assert won.isdisjoint(item.position for item in outcomes)
        won |= {item.position for item in outcomes if item.outcome is Outcome.WRONG}
    lost = {item.position for item in whole["none", ADAPTIVE, "0.3"] if item.outcome is Outcome.WRONG}
    assert won == lost


@pytest.mark.parametrize("defense", ["toy-detect", "toy-noise"])
def test_an_ensemble_finds_the_same_whatever_the_batches(lab: ToyLab, defense: str) -> None:
    expected = stored(lab, run(lab, defense, batch_size=60, epsilons="0.1,0.2,0.3"))
    forget(lab)
    assert stored(lab, run(lab, defense, batch_size=7, epsilons="0.1,0.2,0.3")) == expected


class StopAfter(Silent):
    """A listener that stops the run, as a signal would, after some updates."""

    def __init__(self, updates: int) -> None:
        self.left = updates
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def task(self, title: str, total: int, unit: str) -> StopAfter:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def update(self, done: int, detail: str = "") -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_a_stopped_ensemble_resumes_to_the_same_answer(lab: ToyLab) -> None:
    settings = {"batch_size": 7, "images": 21, "epsilons": "0.1,0.2"}
    whole = run(lab, "toy-noise", **settings)
    expected = stored(lab, whole)
    forget(lab)
    with pytest.raises(KeyboardInterrupt):
        run(lab, "toy-noise", progress=StopAfter(15), **settings)
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        (stopped,) = store.runs()
        assert stopped.status == "interrupted"
        assert 0 < store.describe().outcomes < sum(len(outcomes) for outcomes in expected.values())
    summary = run(lab, "toy-noise", **settings)
    assert summary.run.id == whole.run.id == stopped.id
    assert summary.results == whole.results
    assert stored(lab, summary) == expected


def test_more_images_reuse_the_outcomes_of_fewer(lab: ToyLab) -> None:
    few = stored(lab, run(lab, "toy-noise", images=10, epsilons="0.2"))
    many = stored(lab, run(lab, "toy-noise", images=20, epsilons="0.2"))
    for key, outcomes in few.items():
        assert many[key][: len(outcomes)] == outcomes


def test_an_attack_that_fails_costs_only_itself_and_is_told_with_its_reason(lab: ToyLab) -> None:
    listener = StopAfter(10**9)
    summary = run(lab, "broken-gradient", epsilons="0.1,0.3", progress=listener)
    assert summary.run.status == "failed"
    assert {(row.defense, row.attack) for row in summary.failures} == {
        ("broken-gradient", "joint"),
        ("broken-gradient", "forced-class"),
    }
    assert all("has no gradient" in row.reason for row in summary.failures)
    assert any("goes on without joint" in note for note in listener.notes)
    rows = [row for row in summary.results if row.defense == "broken-gradient"]
    assert [row.n for row in rows] == [30, 30]
    assert rows[-1].accuracy < 0.5  # what needs no gradient wins all the same
    answered = {(count.cell.defense, count.cell.attack) for count in members(lab, summary) if count.n}
    assert {attack for defense, attack in answered if defense == "broken-gradient"} == {"noise", "transfer"}


def test_an_ensemble_without_an_attack_is_not_the_one_with_it(lab: ToyLab) -> None:
    summary = run(lab, "broken-gradient", epsilons="0.1,0.3")
    cells = {count.cell.defense: count.cell for count in members(lab, summary) if count.cell.attack == "noise"}
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        settings = {
            count.cell.defense: json.loads(count.cell.settings)["attack"]["attacks"]
            for count in store.counts(summary.run.id)
            if count.cell.attack == ADAPTIVE
        }
    names = {defense: tuple(attack["name"] for attack in attacks) for defense, attacks in settings.items()}
    assert names == {"none": MEMBERS, "broken-gradient": ("noise", "transfer")}
    assert cells["none"].ensemble != cells["broken-gradient"].ensemble


def test_the_same_command_tries_what_failed_again_and_repeats_nothing(lab: ToyLab) -> None:
    first = run(lab, "broken-gradient", epsilons="0.1,0.3")
    before = stored(lab, first)
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        outcomes = store.describe().outcomes
    second = run(lab, "broken-gradient", epsilons="0.1,0.3")
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        assert store.describe().outcomes == outcomes
        assert len(store.runs()) == 1
    assert second.run.id == first.run.id
    assert second.failures == first.failures
    assert second.results == first.results
    assert stored(lab, second) == before
    assert lab.session().summary(str(lab.folder / "toys.db")).failures == first.failures


def test_where_every_attack_fails_the_ensemble_fails(lab: ToyLab) -> None:
    summary = run(lab, "broken-type", epsilons="0.3")
    assert {row.attack for row in summary.results if row.defense == "broken-type"} == set()
    assert {row.attack for row in summary.failures if row.defense == "broken-type"} >= {"clean", ADAPTIVE}


def test_a_defense_of_pure_luck_is_reported_at_its_true_mean(lab: ToyLab) -> None:
    summary = run(lab, "toy-coin", images=60, epsilons="0.001,0.002")  # too little to fool the classifier itself
    clean = {row.defense: row.accuracy for row in summary.clean}
    assert clean["none"] > 0.95
    assert clean["toy-coin"] == pytest.approx(0.9 * clean["none"], abs=0.05)
    rows = [row for row in summary.results if row.defense == "toy-coin"]
    assert len(rows) == 2
    for row in rows:
        assert row.accuracy == pytest.approx(0.9 * clean["none"], abs=0.04)
        assert row.accuracy_low < 0.9 * clean["none"] < row.accuracy_high
        assert row.wrong == 0  # no image is wrong in most of its draws
    for (defense, attack, _), outcomes in stored(lab, summary).items():
        if defense == "toy-coin" and attack == ADAPTIVE:
            assert {item.draws for item in outcomes} == {20}
            assert len({item.draws_wrong for item in outcomes}) > 1


def test_deterministic_defenses_are_judged_once_and_stochastic_ones_on_several_draws(lab: ToyLab) -> None:
    summary = run(lab, "toy-noise", attacks=("fgsm", ADAPTIVE), epsilons="0.2", images=10)
    draws = {
        (defense, attack): {item.draws for item in outcomes}
        for (defense, attack, _), outcomes in stored(lab, summary).items()
        if outcomes
    }
    assert {value for (defense, _), values in draws.items() if defense == "none" for value in values} == {1}
    assert draws["toy-noise", "clean"] == {10}
    assert draws["toy-noise", "fgsm"] == {1}  # as the literature does
    assert draws["toy-noise", ADAPTIVE] == {20}
    assert draws["toy-noise", "noise"] == {10}


def test_only_a_detector_is_asked_how_easily_it_rejects(lab: ToyLab) -> None:
    summary = run(lab, "toy-detect", epsilons="0.1,0.2")
    rows = [row for row in summary.results if row.attack == REJECTION]
    assert {row.defense for row in rows} == {"toy-detect"}
    assert [row.epsilon for row in rows] == [
        *("0.001", "0.002", "0.005", "0.01", "0.015", "0.02", "0.025", "0.03", "0.04", "0.05", "0.06", "0.1", "0.2"),
    ]
    rejected = [row.rejected for row in rows]
    assert rejected == sorted(rejected)
    assert rejected[-1] == 30
    assert REJECTION not in {row.attack for row in summary.worst}


def test_the_budget_decides_which_attacks_there_are_and_how_long_they_try(lab: ToyLab) -> None:
    quick, standard = (
        json.loads(run(lab, "toy-detect", images=2, epsilons="0.1", budget=budget).run.details)
        for budget in ("quick", "standard")
    )
    assert (quick["budget"], standard["budget"]) == ("quick", "standard")
    assert set(quick["attacks"]) < set(standard["attacks"])
    assert "hopskipjump-reject" not in standard["attacks"]  # which is for the thorough
    assert quick["attacks"]["joint"]["parameters"]["rounds"] == 3
    assert standard["attacks"]["joint"]["parameters"]["rounds"] == 6


def test_what_the_user_sets_wins_over_the_budget(lab: ToyLab) -> None:
    (lab.folder / "benchmarks.toml").write_text("schema = 1\n[parameters.joint]\nrounds = 1\n")
    details = json.loads(run(lab, "none", images=2, epsilons="0.1").run.details)
    assert details["attacks"]["joint"]["parameters"] == {"steps": 40, "rounds": 1}


def test_attacks_that_do_not_suit_a_defense_are_not_run_against_it(lab: ToyLab) -> None:
    summary = run(lab, "toy-noise", "toy-detect", images=2, epsilons="0.1", budget="standard")
    ran = {
        defense: {count.cell.attack for count in members(lab, summary) if count.cell.defense == defense}
        for defense in summary.defenses
    }
    assert "eot-pgd" in ran["toy-noise"]
    assert "selective-pgd" in ran["toy-detect"]
    assert not {"eot-pgd", "selective-pgd", "max-score", "soft-selection"} & ran["none"]


def test_the_worst_case_has_the_adaptive_attacks_among_its_members_if_they_are_wanted(lab: ToyLab) -> None:
    summary = run(lab, "none", attacks=("fgsm", ADAPTIVE), worst_case=True, images=5, epsilons="0.1,0.2")
    assert summary.attacks == (WORST_CASE,)
    assert {row.knowledge for row in summary.results} == {"adaptive"}
    assert tuple(dict.fromkeys(count.cell.attack for count in members(lab, summary))) == ("fgsm", *MEMBERS)
