"""``robench replay`` as a user meets it: in another process than the run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Program


def test_the_same_defense_ends_alike_for_every_image_in_another_process(program: Program) -> None:
    run = json.loads(program(*program.toy_run, "--keep-examples", "--json").stdout)["run"]
    result = program("replay", "--defense", "toy-detect", "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["run"], found["attack"], found["form"], found["unchanged"]) == (run, "fgsm", "float", True)
    assert [(row["made_against"], row["epsilon"]) for row in found["rows"]] == [
        (defense, epsilon) for defense in ("none", "toy-detect") for epsilon in ("0.1", "0.3")
    ]
    for row in found["rows"]:
        assert row["n"] == 40
        if row["made_against"] == "toy-detect":
            assert row["alike"] == 40
            assert row["now"] == row["original"]
    shown = program("replay", "--defense", "toy-detect", "--made-against", "toy-detect", "--form", "8-bit")
    assert shown.returncode == 0, shown.stderr
    assert f"run {run}: examples of fgsm, Linf, as 8-bit, put to toy-detect" in shown.stdout
    assert "of 40" in shown.stdout


def test_examples_that_were_deleted_are_named_and_the_rest_is_replayed(program: Program) -> None:
    program(*program.toy_run, "--keep-examples", "--quiet")
    for path in sorted((program.folder / "robench.examples").rglob("*.safetensors"))[1:]:
        path.unlink()
    result = program("replay", "--defense", "none", "--quiet", "--json")
    assert result.returncode == 3
    found = json.loads(result.stdout)
    kept = {(row["made_against"], row["epsilon"]) for row in found["rows"]}
    assert kept.isdisjoint((cell["made_against"], cell["epsilon"]) for cell in found["missing"])
    assert (len(kept), len(found["missing"])) == (1, 3)
    for cell in found["missing"]:
        assert f"{cell['n']} made against {cell['made_against']} at eps {cell['epsilon']}" in result.stderr


def test_a_run_that_kept_nothing_is_refused_with_what_to_do(program: Program) -> None:
    program(*program.toy_run)
    result = program("replay", "--defense", "none", "--quiet")
    assert result.returncode == 2
    assert result.stdout == ""
    assert "--keep-examples" in result.stderr
    assert result.stderr.startswith("error: no such examples of fgsm")
