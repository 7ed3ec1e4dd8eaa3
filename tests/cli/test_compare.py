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


REFERENCE = """dataset,defense,attack,epsilon,quantity,value,low,high,source
toy-bars,none,clean,,accuracy,0.99,0,1,Table 1
toy-bars,toy-detect,fgsm,0.3,accuracy,0,0,0.001,Table 1
"""


def test_a_run_of_a_suite_is_put_beside_published_figures(program: Program) -> None:
    suite = '[suites.toys]\ndefenses = ["none", "toy-detect"]\nattacks = ["fgsm"]\nepsilons = [0.1, 0.3]\n'
    (program.folder / "benchmarks.toml").write_text(f"schema = 1\n{suite}", encoding="utf-8")
    (program.folder / "ours.csv").write_text(REFERENCE, encoding="utf-8")
    missing = program(*program.toy_run, "--json")
    assert missing.returncode == 0, missing.stderr
    refused = program("report", "--suite", "toys")
    assert refused.returncode == 2
    assert refused.stderr.startswith('error: the store has no run of the suite "toys"; it has runs of: none;')
    other = program("report", "--suite", "toys", "--run", json.loads(missing.stdout)["run"][:6])
    assert 'is of no suite, not of "toys"; name only the run, or only the suite' in other.stderr
    chosen = ("--dataset", "toy-bars", "--classifier", "toy-linear", "--images", "30", "--device", "cpu")
    run = json.loads(program("run", "--suite", "toys", *chosen, "--json").stdout)["run"]
    program(*program.toy_run)  # the newest run is of no suite
    shown = program("report", "--suite", "toys", "--against", "ours.csv", "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert (found["run"], found["dataset"], found["unmatched"]) == (run, "toy-bars", 0)
    assert [figure["verdict"] for figure in found["figures"]] == ["within", "outside"]
    text = program("report", "--suite", "toys", "--against", "ours.csv").stdout
    assert "toy-detect under fgsm (naive): accuracy at 0.3" in text
    paper = program("report", "--against", "paper")
    assert (paper.returncode, paper.stdout) == (2, "")
    assert "it has no figures of the data set toy-bars" in paper.stderr
    assert "give paper, or a CSV file" in program("report", "--against", "nothing.csv").stderr
    assert program("report", "--against", "").stderr.startswith(
        'error: --against "": there is no such file; give paper'
    )
    assert "--against ./nothing.csv: No such file" in program("report", "--against", "./nothing.csv").stderr
    assert "robench.db: it is not text; give paper" in program("report", "--against", "robench.db").stderr
