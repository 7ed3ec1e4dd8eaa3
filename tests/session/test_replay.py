"""Kept examples, put to defenses once more."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from robench.api.records import WORST_CASE
from robench.errors import RobenchError, UsageError
from robench.session.replay import Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from robench.session.replay import Replay, Replayed
    from tests.conftest import ToyLab


def replay(lab: ToyLab, defense: str, **wanted: Any) -> Replay:
    from robench.config.request import Overrides

    overrides = Overrides(defenses=(defense,), db=str(lab.folder / "toys.db"))
    return lab.session().replay(Wanted(**wanted), overrides)


def files(lab: ToyLab) -> list[Path]:
    return sorted((lab.folder / "toys.examples").rglob("*.safetensors"))


def counts(row: Replayed) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    ends = [(end.correct, end.wrong, end.rejected) for end in (row.original, row.now)]
    return ends[0], ends[1]


@pytest.mark.parametrize("worst_case", [False, True])
@pytest.mark.parametrize("defense", ["none", "toy-detect"])
def test_the_same_defense_ends_with_the_outcomes_of_the_run(lab: ToyLab, defense: str, worst_case: bool) -> None:
    summary = lab.run(keep_examples=True, worst_case=worst_case, batch_size=17)
    found = replay(lab, defense, made_against=defense)
    assert found.run == summary.run.id
    assert found.attack == (WORST_CASE if worst_case else "fgsm")
    assert found.unchanged
    assert [row.epsilon for row in found.rows] == ["0.1", "0.3"]
    for row in found.rows:
        (result,) = [
            result
            for result in summary.results
            if (result.defense, result.attack, result.epsilon) == (defense, found.attack, row.epsilon)
        ]
        assert (row.n, row.alike, row.draws) == (60, 60, 1)
        assert counts(row) == ((result.correct, result.wrong, result.rejected),) * 2
        assert row.now.wrong_draws == result.wrong / 60


def test_examples_of_one_defense_are_put_to_another(lab: ToyLab) -> None:
    lab.run(keep_examples=True, attacks=("fgsm",), epsilons="0.3", defenses=("none", "toy-detect"))
    found = replay(lab, "toy-detect")
    assert [row.made_against for row in found.rows] == ["none", "toy-detect"]
    original, now = counts(found.rows[0])
    assert original[2] == 0
    assert now[2] > 0
    assert found.rows[0].alike < 60
    assert replay(lab, "toy-noise").unchanged is None  # which the run does not have


def test_a_stochastic_defense_is_judged_on_fresh_draws_as_often_as_in_a_run(lab: ToyLab) -> None:
    (lab.folder / "benchmarks.toml").write_text("schema = 1\n[parameters.toy-noise]\nscale = 0.4\n")
    lab.run(keep_examples=True, worst_case=True, attacks=("fgsm",), defenses=("toy-noise",), epsilons="0.1")
    (lab.folder / "benchmarks.toml").unlink()
    found = replay(lab, "toy-noise")
    (row,) = found.rows
    assert found.unchanged  # the run's parameters count, not today's
    assert row.draws == 20
    assert row.now.wrong_draws == pytest.approx(row.original.wrong_draws, abs=0.05)
    assert row.now.wrong_draws != row.original.wrong_draws
    assert replay(lab, "toy-noise").rows == found.rows


def test_eight_bits_hardly_change_the_outcomes(lab: ToyLab) -> None:
    lab.run(keep_examples=True, attacks=("fgsm",), defenses=("none",))
    found = replay(lab, "none", form="8-bit")
    assert found.form == "8-bit"
    assert all(row.n == 60 and row.alike >= 55 for row in found.rows)


def test_an_epsilon_can_be_picked(lab: ToyLab) -> None:
    lab.run(keep_examples=True, attacks=("fgsm",), defenses=("none",))
    assert [row.epsilon for row in replay(lab, "none", epsilon="0.30").rows] == ["0.3"]


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ({"epsilon": "0.2"}, "has no outcomes of fgsm at epsilon 0.2; it has 0.1, 0.3"),
        ({"attack": "pgd"}, "has no attack 'pgd'"),
        ({"made_against": "nobody"}, "has no defense 'nobody'"),
        ({"form": "png"}, '--form: unknown form "png"'),
        ({"run": "zz"}, "no run in the store whose id begins with 'zz'"),
        ({}, "no such examples of fgsm"),
    ],
)
def test_what_there_is_not_is_named(lab: ToyLab, wanted: dict[str, str], complaint: str) -> None:
    lab.run(attacks=("fgsm",), defenses=("none",), images=10)
    with pytest.raises(UsageError) as refusal:
        replay(lab, "none", **wanted)
    assert complaint in str(refusal.value)


def test_a_truncated_file_is_an_error(lab: ToyLab) -> None:
    lab.run(keep_examples=True, attacks=("fgsm",), defenses=("none",), epsilons="0.1", batch_size=100)
    (path,) = files(lab)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RobenchError, match=f"{path.name}: cannot be read"):
        replay(lab, "none")


def test_the_examples_of_another_cell_are_an_error(lab: ToyLab) -> None:
    lab.run(keep_examples=True, attacks=("fgsm",), defenses=("none",), batch_size=1000)
    small, large = files(lab)
    shutil.copy(small, large)
    with pytest.raises(RobenchError, match="has another cell, epsilon"):
        replay(lab, "none")


@pytest.mark.parametrize("key", ["data_digest", "classifier_digest", "threshold", "run"])
def test_metadata_must_be_that_of_the_run(lab: ToyLab, key: str) -> None:
    lab.run(keep_examples=True, attacks=("fgsm",), defenses=("none",), epsilons="0.1", batch_size=100)
    (path,) = files(lab)
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
    save_file(load_file(path), path, metadata={**facts, key: '"another"'})
    with pytest.raises(RobenchError, match=f"has another {key}"):
        replay(lab, "none")


def test_pixels_outside_the_ball_are_an_error(lab: ToyLab) -> None:
    lab.run(keep_examples=True, attacks=("fgsm",), defenses=("none",), epsilons="0.1", batch_size=100)
    (path,) = files(lab)
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
    save_file({**tensors, "float": (tensors["float"] + 0.01).clamp(0, 1)}, path, metadata=facts)
    with pytest.raises(RobenchError, match=r"further than 0\.1 \(Linf\) from the original"):
        replay(lab, "none")


def test_another_classifier_is_an_error(lab: ToyLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.run(keep_examples=True, attacks=("fgsm",), defenses=("none",), epsilons="0.1")
    monkeypatch.setattr("robench.session.replay.module_digest", lambda module: "another")
    with pytest.raises(RobenchError, match="the classifier is not that of run"):
        replay(lab, "none")


def test_a_run_that_kept_nothing_is_refused_before_anything_is_prepared(
    lab: ToyLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run(attacks=("fgsm",), defenses=("none",), epsilons="0.1")
    monkeypatch.setattr("robench.session.replay.Workbench", pytest.fail)
    with pytest.raises(UsageError, match="no such examples of fgsm"):
        replay(lab, "none")
