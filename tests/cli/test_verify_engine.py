"""``robench verify-engine``, and ``--trace``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Program

TOYS = ("--dataset", "toy-bars", "--classifier", "toy-linear", "--epsilons", "0.1,0.3", "--device", "cpu")


def test_the_engine_agrees_with_foolbox_on_deterministic_and_stochastic_defenses(program: Program) -> None:
    done = program(
        "verify-engine", *TOYS, "--defense", "toy-noise", "--defense", "toy-detect", "--attack", "bim", "--json"
    )
    assert done.returncode == 0, done.stderr
    comparisons = json.loads(done.stdout)["comparisons"]
    assert [(item["defense"], item["epsilon"]) for item in comparisons] == [
        (defense, epsilon) for defense in ("toy-noise", "toy-detect") for epsilon in ("0.1", "0.3")
    ]
    for item in comparisons:
        assert item["agrees"]
        assert item["images"] == 50
        assert item["same_outcomes"] == 50
        assert item["same_pixels"] > 0.999
        assert item["library"] == item["engine"]
    assert not (program.folder / "robench.db").exists()


def test_the_table_names_every_comparison(program: Program) -> None:
    done = program("verify-engine", *TOYS, "--defense", "none", "--attack", "fgsm", "--images", "20")
    assert done.returncode == 0, done.stderr
    assert "20 of 20" in done.stdout
    assert "agrees" in done.stdout


def test_an_attack_with_one_form_cannot_be_compared(program: Program) -> None:
    done = program("verify-engine", *TOYS, "--defense", "none", "--attack", "toy-corner")
    assert done.returncode == 2
    assert "none of toy-corner has both a plain and a native form" in done.stderr
    assert "compare fgsm, bim or pgd" in done.stderr


def test_too_many_images_are_refused_before_the_attack(program: Program) -> None:
    done = program("verify-engine", *TOYS, "--defense", "none", "--attack", "fgsm", "--images", "100000")
    assert done.returncode == 2
    assert "the test split has 120 images" in done.stderr


def test_a_trace_says_where_the_time_went(program: Program) -> None:
    done = program(*program.toy_run, "--trace", "traces")
    assert done.returncode == 0, done.stderr
    times = json.loads((program.folder / "traces" / "time.json").read_text())
    assert {"search", "judge", "data", "store", "idle"} == set(times)
    assert abs(sum(item["share"] for item in times.values()) - 1) < 1e-6
    events = json.loads((program.folder / "traces" / "trace.json").read_text())["traceEvents"]
    assert any("aten::" in str(event.get("name")) for event in events)
    assert "search" in done.stderr


def test_a_trace_that_cannot_be_written_is_refused(program: Program) -> None:
    (program.folder / "taken").write_text("")
    done = program(*program.toy_run, "--trace", "taken")
    assert done.returncode == 2
    assert "--trace taken: " in done.stderr


def test_a_finished_run_does_not_overwrite_a_trace(program: Program) -> None:
    program(*program.toy_run, "--trace", "traces")
    before = (program.folder / "traces" / "time.json").read_text()
    again = program(*program.toy_run, "--trace", "traces")
    assert again.returncode == 0
    assert "nothing was left to attack: no trace is written" in again.stderr
    assert (program.folder / "traces" / "time.json").read_text() == before
