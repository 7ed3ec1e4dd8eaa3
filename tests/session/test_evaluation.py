"""Runs from request to store, on toys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Self

import pytest
import torch

from robench.api.records import Outcome
from robench.engine.progress import Silent
from robench.errors import UsageError
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from robench.api.records import ImageOutcome, RunSummary
    from tests.conftest import ToyLab


def all_outcomes(lab: ToyLab, summary: RunSummary) -> dict[tuple[str, str, str], tuple[ImageOutcome, ...]]:
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        return {
            (count.cell.defense, count.cell.attack, count.cell.epsilon): store.outcomes(summary.run.id, count.cell.key)
            for count in store.counts(summary.run.id)
        }


def test_a_run_fills_every_cell(lab: ToyLab) -> None:
    summary = lab.run()
    assert summary.complete
    assert [row.defense for row in summary.clean] == ["none", "toy-detect", "toy-noise"]
    assert len(summary.results) == 3 * 2 * 2
    assert {row.n for row in summary.results} == {60}
    assert not summary.failures


def test_the_attack_lowers_the_accuracy_of_the_undefended_classifier(lab: ToyLab) -> None:
    summary = lab.run(defenses=("none",), attacks=("fgsm",))
    (clean,) = summary.clean
    strongest = summary.results[-1]
    assert clean.accuracy > 0.9
    assert strongest.epsilon == "0.3"
    assert strongest.accuracy < 0.5


def test_outcomes_follow_from_label_prediction_score_and_threshold(lab: ToyLab) -> None:
    summary = lab.run()
    defenses = summary.details["defenses"]
    assert isinstance(defenses, dict)
    threshold = defenses["toy-detect"]["threshold"]
    for (defense, _, _), outcomes in all_outcomes(lab, summary).items():
        for item in outcomes:
            rejected = defense == "toy-detect" and item.score is not None and item.score > threshold
            right = Outcome.CORRECT if item.prediction == item.label else Outcome.WRONG
            assert item.outcome == (Outcome.REJECTED if rejected else right)


def test_outcomes_do_not_depend_on_the_batch_size(lab: ToyLab) -> None:
    whole = lab.run(batch_size=60, db=str(lab.folder / "toys.db"))
    expected = all_outcomes(lab, whole)
    (lab.folder / "toys.db").unlink()
    single = lab.run(batch_size=7)
    assert all_outcomes(lab, single) == expected


def test_the_same_seed_gives_the_same_outcomes_and_another_seed_others(lab: ToyLab) -> None:
    first = all_outcomes(lab, lab.run(defenses=("toy-noise",), attacks=("pgd",)))
    (lab.folder / "toys.db").unlink()
    again = all_outcomes(lab, lab.run(defenses=("toy-noise",), attacks=("pgd",)))
    (lab.folder / "toys.db").unlink()
    other = all_outcomes(lab, lab.run(defenses=("toy-noise",), attacks=("pgd",), seed=1))
    assert first == again
    assert first != other


def test_a_finished_run_is_not_done_again(lab: ToyLab) -> None:
    first = lab.run()
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        shards = store.describe().outcomes
    second = lab.run()
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        assert store.describe().outcomes == shards
        assert len(store.runs()) == 1
    assert second.run.id == first.run.id
    assert second.results == first.results


def test_more_images_reuse_the_outcomes_of_fewer(lab: ToyLab) -> None:
    few = lab.run(images=30, defenses=("toy-noise",), attacks=("pgd",), epsilons="0.1")
    before = all_outcomes(lab, few)
    many = lab.run(images=60, defenses=("toy-noise",), attacks=("pgd",), epsilons="0.1")
    after = all_outcomes(lab, many)
    assert many.run.id != few.run.id
    for key, outcomes in before.items():
        assert after[key][:30] == outcomes
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        assert store.describe().outcomes == 2 * 60


class StopAfter(Silent):
    """A listener that stops the run, as a signal would, after some updates of attack cells."""

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


def test_an_interrupted_run_resumes_to_the_same_outcomes(lab: ToyLab) -> None:
    expected = all_outcomes(lab, lab.run(batch_size=20))
    (lab.folder / "toys.db").unlink()
    with pytest.raises(KeyboardInterrupt):
        lab.run(batch_size=20, progress=StopAfter(17))
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        (run,) = store.runs()
        assert run.status == "interrupted"
        assert 0 < store.describe().outcomes < 900
    summary = lab.run(batch_size=20)
    assert summary.complete
    assert all_outcomes(lab, summary) == expected


def test_more_images_than_there_are_is_refused_before_anything_is_written(lab: ToyLab) -> None:
    with pytest.raises(UsageError, match="the test split of toy-bars has 120 images"):
        lab.run(images=121)
    assert not (lab.folder / "toys.db").exists()


def test_a_rate_that_the_validation_images_cannot_certify_is_refused_before_training(lab: ToyLab) -> None:
    config = lab.folder / "benchmarks.toml"
    config.write_text("schema = 1\n[defaults]\n[datasets.toy-bars]\nfalse_positive_rate = 0.001\n")
    with pytest.raises(UsageError, match="cannot be certified with 300 validation images"):
        lab.run(defenses=("toy-detect",))
    assert not (lab.folder / "toys.db").exists()


@pytest.mark.parametrize("name", ["ball", "range", "nan", "shape", "original", "crash", "exit"])
def test_an_attack_that_cheats_or_breaks_costs_only_its_own_cells(lab: ToyLab, name: str) -> None:
    summary = lab.run(defenses=("none",), attacks=(f"broken-{name}", "fgsm"), epsilons="0.1")
    assert [row.attack for row in summary.results] == ["fgsm"]
    (failure,) = summary.failures
    assert failure.attack == f"broken-{name}"
    reasons = {
        "ball": "left the Linf ball: 0.2",
        "range": "left [0, 1]",
        "nan": "not finite",
        "shape": "returned (1, 1, 8, 8)",
        "original": "left the Linf ball",
        "crash": "ZeroDivisionError: this attack always crashes",
        "exit": "SystemExit: 0",
    }
    assert reasons[name] in failure.reason
    assert summary.run.status == "failed"
    assert not summary.complete


def test_an_attack_that_switches_gradients_off_does_not_harm_the_next(lab: ToyLab) -> None:
    summary = lab.run(defenses=("none",), attacks=("broken-manners", "fgsm"), epsilons="0.3")
    assert not summary.failures
    assert torch.is_grad_enabled()
    assert summary.results[1].accuracy < 0.5


def test_a_table_that_names_nothing_installed_is_mentioned(lab: ToyLab) -> None:
    (lab.folder / "benchmarks.toml").write_text("schema = 1\n[parameters.toy-nose]\nscale = 1.0\n")
    listener = StopAfter(10**9)
    lab.run(defenses=("none",), attacks=("toy-corner",), progress=listener)
    assert any("toy-nose" in note and 'did you mean "toy-noise"?' in note for note in listener.notes)


@pytest.mark.parametrize("name", ["build", "type", "logits", "infinite", "scoreless", "input", "data", "fit"])
def test_a_defense_that_lies_or_breaks_costs_only_its_own_cells(lab: ToyLab, name: str) -> None:
    summary = lab.run(defenses=(f"broken-{name}", "none"), attacks=("fgsm",), epsilons="0.1")
    assert {row.defense for row in summary.results} == {"none"}
    assert {row.defense for row in summary.failures} == {f"broken-{name}"}
    reasons = {
        "build": "OSError: cannot be built",
        "type": "answered with Tensor",
        "logits": "logits have shape",
        "infinite": "not finite",
        "scoreless": "declared rejecting",
        "input": "broken-input writes to the images",
        "data": "broken-data writes to the images",
        "fit": "the fit of defense broken-fit returned the threshold nan",
    }
    assert all(reasons[name] in row.reason for row in summary.failures)


def test_what_plugins_write_to_does_not_reach_their_neighbours(lab: ToyLab) -> None:
    healthy = lab.run(defenses=("toy-detect",), attacks=("noise",), epsilons="0.3", images=20)
    expected = all_outcomes(lab, healthy)
    (lab.folder / "toys.db").unlink()
    among_broken = lab.run(
        defenses=("broken-fit", "broken-input", "broken-data", "toy-detect"),
        attacks=("broken-references", "broken-original", "noise"),
        epsilons="0.3",
        images=20,
        batch_size=10,
    )
    found = all_outcomes(lab, among_broken)
    assert {key: found[key] for key in expected} == expected
    assert {row.attack for row in among_broken.failures if row.defense == "toy-detect"} == {"broken-original"}


def test_a_failed_cell_is_tried_again_by_the_same_command(lab: ToyLab) -> None:
    first = lab.run(defenses=("none",), attacks=("broken-crash",), epsilons="0.1")
    second = lab.run(defenses=("none",), attacks=("broken-crash",), epsilons="0.1")
    assert second.run.id == first.run.id
    assert second.failures == first.failures


def test_provenance_names_digests_thresholds_and_versions(lab: ToyLab) -> None:
    summary = lab.run()
    details = json.loads(summary.run.details)
    assert len(details["data_digest"]) == len(details["classifier_digest"]) == 64
    detector = details["defenses"]["toy-detect"]
    assert detector["threshold_rule"] == "finite-sample"
    assert detector["validation_images"] == 300
    assert 0 <= detector["false_positive_rate_validation"] <= 0.01
    assert details["defenses"]["none"]["threshold"] is None
    assert details["environment"]["torch"]
    assert details["attacks"]["fgsm"]["knowledge"] == "naive"


def test_a_changed_parameter_is_another_run(lab: ToyLab) -> None:
    config = lab.folder / "benchmarks.toml"
    first = lab.run(defenses=("toy-noise",), attacks=("toy-corner",))
    config.write_text("schema = 1\n[parameters.toy-noise]\nscale = 0.5\n")
    second = lab.run(defenses=("toy-noise",), attacks=("toy-corner",))
    assert second.run.id != first.run.id
    assert json.loads(second.run.details)["defenses"]["toy-noise"]["parameters"] == {"scale": 0.5}
