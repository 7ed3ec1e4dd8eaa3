"""``robench compare`` as a user meets it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Program


def test_a_comparison_says_who_is_more_robust_in_words_and_in_json(program: Program) -> None:
    run = json.loads(program(*program.toy_run, "--json").stdout)["run"]
    found = json.loads(program("compare", "none", "toy-detect", "--json").stdout)
    assert (found["run"], found["attack"], found["first"], found["second"]) == (run, "fgsm", "none", "toy-detect")
    keys = {"epsilon", "n", "first", "second", "only_first", "only_second", "p", "p_adjusted", "more_robust"}
    assert [set(row) for row in found["epsilons"]] == [keys, keys]
    shown = program("compare", "none", "toy-detect")
    assert found["knowledge"] == "naive"
    assert "naive: the attack does not know" in shown.stdout
    assert shown.returncode == 0, shown.stderr
    for row in found["epsilons"]:
        words = "no difference shown" if row["more_robust"] is None else f"{found[row['more_robust']]} is more robust"
        (line,) = [line for line in shown.stdout.splitlines() if line.startswith(row["epsilon"])]
        assert words in line
    words = "rates: NOT set by one rule, none never rejects and toy-detect follows the rule finite-sample; measured: "
    assert words in shown.stdout
    assert "nominal" not in shown.stdout


def test_a_defense_that_the_run_lacks_is_refused_with_its_likes(program: Program) -> None:
    run = json.loads(program(*program.toy_run, "--json").stdout)["run"]
    result = program("compare", "none", "toy-detekt", "--run", run)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == f"error: run {run} has no defense 'toy-detekt'; did you mean \"toy-detect\"?\n"
