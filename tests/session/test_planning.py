"""What a run would take, before it is started."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from robench.session.planning import Estimate
    from tests.conftest import ToyLab


def plan(lab: ToyLab, *, probe: bool = True, **changes: object) -> Estimate:
    session = lab.session()
    return session.plan(session.resolve(lab.overrides(**changes)), probe=probe)


def test_a_plan_counts_the_cells_of_the_run_and_stores_nothing(lab: ToyLab) -> None:
    lab.run(attacks=("fgsm",), db=str(lab.folder / "training.db"))  # leaves weights in the cache
    estimate = plan(lab, attacks=("fgsm", "adaptive"), batch_size=16)
    assert not (lab.folder / "toys.db").exists()
    summary = lab.run(attacks=("fgsm", "adaptive"), batch_size=16)
    assert estimate.cells == len(summary.clean) + len(summary.results)
    assert estimate.outcomes == 60 * estimate.cells
    assert estimate.to_train == ()
    assert estimate.memory is not None
    assert estimate.memory > 2**20
    fgsm = next(item for item in estimate.sweeps if (item.defense, item.attack) == ("none", "fgsm"))
    assert fgsm.batches == 8  # of 8 images at 2 epsilons
    assert fgsm.passes == 60  # one gradient for both epsilons
    assert all(item.seconds is not None and item.seconds > 0 for item in estimate.sweeps)


def test_what_is_stored_is_not_planned_again(lab: ToyLab) -> None:
    lab.run(attacks=("fgsm",), images=40)
    estimate = plan(lab, attacks=("fgsm",), images=60)
    assert estimate.outcomes == 20 * estimate.cells
    lab.run(attacks=("fgsm",), images=60)
    done = plan(lab, attacks=("fgsm",), images=60)
    assert (done.outcomes, done.batches) == (0, 0)
    assert done.seconds is None  # there was nothing to try


def test_a_plan_trains_nothing_and_says_what_would_be(
    lab: ToyLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = replace(lab, cache=tmp_path / "fresh")
    estimate = plan(fresh, attacks=("fgsm",))
    assert estimate.to_train == ("none", "toy-detect", "toy-noise")
    assert estimate.cells == 3 * 3
    assert estimate.outcomes == 60 * 9
    assert estimate.seconds is None
    assert not (tmp_path / "fresh" / "weights").exists()


def test_a_dry_run_attacks_nothing(lab: ToyLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.run(attacks=("fgsm",), db=str(lab.folder / "training.db"))

    def refuse(*_: object) -> None:
        message = "it attacks"
        raise AssertionError(message)

    monkeypatch.setattr("robench.session.planning.run_sweep", refuse)
    monkeypatch.setattr("robench.engine.batching._try_out", refuse)
    estimate = plan(lab, probe=False, attacks=("fgsm",))
    assert estimate.outcomes == 60 * 9
    assert (estimate.seconds, estimate.passes, estimate.memory) == (None, None, None)


def test_an_attack_that_fails_does_not_keep_the_others_from_being_planned(lab: ToyLab) -> None:
    lab.run(attacks=("fgsm",), db=str(lab.folder / "training.db"))
    estimate = plan(lab, attacks=("broken-crash", "fgsm"), defenses=("none",), epsilons="0.3")
    remarks = {item.attack: item.remark for item in estimate.sweeps}
    assert "ZeroDivisionError: this attack always crashes" in remarks["broken-crash"]
    assert remarks["fgsm"] == ""


def test_a_plan_of_a_part_is_of_that_part(lab: ToyLab) -> None:
    estimate = plan(lab, probe=False, attacks=("fgsm",), defenses=("none",), batch_size=20, shard="2/3")
    assert {item.attack: item.outcomes for item in estimate.sweeps} == {"clean": 20, "fgsm": 40}
