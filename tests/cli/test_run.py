"""``robench run`` and ``robench report`` as a user meets them."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Program


def expect_refusal(result: subprocess.CompletedProcess[str], complaint: str) -> None:
    assert result.returncode == 2, result.stderr
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ") == (result.stderr.count("\n") == 1)  # one line, or the usage
    assert result.stdout == ""


def test_json_has_the_promised_keys_and_stdout_holds_nothing_else(program: Program) -> None:
    result = program(*program.toy_run, "--json")
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["complete"] is True
    assert (answer["dataset"], answer["classifier"]) == ("toy-bars", "toy-linear")
    assert {"defense", "n", "accuracy", "rejected"} <= set(answer["clean"][0])
    expected = {
        "defense",
        "attack",
        "knowledge",
        "epsilon",
        "n",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "correct",
        "wrong",
        "rejected",
    }
    assert expected <= set(answer["results"][0])
    assert {"defense", "attack", "worst_case_epsilon", "accuracy"} <= set(answer["worst"][0])
    assert {row["epsilon"] for row in answer["results"]} == {"0.1", "0.3"}
    for row in answer["results"]:
        assert row["correct"] + row["wrong"] + row["rejected"] == row["n"] == 40
        assert row["accuracy"] == (row["correct"] + row["rejected"]) / 40


def test_progress_goes_to_stderr_and_quiet_silences_it(program: Program) -> None:
    loud = program(*program.toy_run)
    assert "none: fgsm eps 0.1 to 0.3: 80 outcomes in" in loud.stderr
    assert "toy-bars" in loud.stdout
    quiet = program(*program.toy_run, "--quiet", "--db", "other.db")
    assert quiet.stderr == ""
    assert quiet.stdout.splitlines()[2:] == loud.stdout.splitlines()[2:]


def test_quiet_leaves_warnings(program: Program) -> None:
    program(*program.toy_run, "--quiet")
    again = program(*program.toy_run, "--quiet", "--keep-examples")
    assert "outcomes are stored already without their attacked images" in again.stderr
    assert len(again.stderr.splitlines()) == 1


def test_a_closed_stdout_is_nobody_who_reads(program: Program) -> None:
    command = f"{shlex.join([sys.executable, '-m', 'robench', *program.toy_run, '--quiet'])} >&-"
    closed = subprocess.run(
        ["sh", "-c", command], cwd=program.folder, env=program.environ, stderr=subprocess.PIPE, text=True, check=False
    )
    assert (closed.returncode, closed.stderr) == (0, "")
    assert json.loads(program("report", "--json").stdout)["complete"]


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown"])
def test_the_report_says_the_same_as_the_run(program: Program, form: str) -> None:
    run = json.loads(program(*program.toy_run, "--json").stdout)
    report = program("report", "--format", form)
    assert report.returncode == 0, report.stderr
    assert run["run"] in report.stdout
    if form == "json":
        assert json.loads(report.stdout) == run
    elif form == "csv":
        metrics = [metric for card in run["cards"] for metric in card["metrics"]]
        assert len(report.stdout.splitlines()) == 1 + len(run["clean"]) + len(run["results"]) + len(metrics)
    else:
        for row in run["results"]:
            assert f"{100 * row['accuracy']:.1f}" in report.stdout


def test_a_report_loads_no_library_that_it_can_do_without(program: Program) -> None:
    program(*program.toy_run)
    report = program("report", PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.rpartition("|")[2].strip() for line in report.stderr.splitlines()}
    assert "sqlalchemy" in loaded
    assert loaded & {"torch", "numpy", "scipy", "alembic", "sqlalchemy.orm", "sqlalchemy.dialects.postgresql"} == set()


def test_views_answer_plain_sql(program: Program) -> None:
    run = json.loads(program(*program.toy_run, "--json").stdout)
    connection = sqlite3.connect(program.folder / "robench.db")
    columns = "run, dataset, classifier, defense, attack, knowledge, epsilon, n, accuracy, wrong, rejected"
    rows = connection.execute(f"SELECT {columns} FROM results WHERE attack <> 'clean'").fetchall()
    worst = connection.execute(
        "SELECT run, dataset, classifier, defense, attack, worst_case_epsilon, accuracy, rejected FROM worst_case"
    ).fetchall()
    connection.close()
    found = {(row[3], row[4], row[6]): row[7:] for row in rows}
    for row in run["results"]:
        n, accuracy, wrong, rejected = found[row["defense"], row["attack"], row["epsilon"]]
        assert (n, wrong, rejected) == (row["n"], row["wrong"], row["rejected"])
        assert accuracy == pytest.approx(row["accuracy"])
    assert {(row[3], row[4], row[5]) for row in worst} == {
        (row["defense"], row["attack"], row["worst_case_epsilon"]) for row in run["worst"]
    }


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--dataset", "mnits"], 'unknown dataset "mnits"; did you mean "mnist"?'),
        (["--classifier", "paper-z"], 'unknown classifier "paper-z"'),
        (["--defense", "puvea"], 'unknown defense "puvea"; did you mean "puvae"?'),
        (["--attack", "pdg"], 'unknown attack "pdg"; did you mean "pgd"?'),
        (["--suite", "paper-minst"], 'did you mean "paper-mnist"?'),
        (["--epsilons", "-0.1"], "-0.1"),
        (["--epsilons", "nan"], "nan"),
        (["--epsilons", "much"], "much"),
        (["--epsilons", "1.5"], "1.5"),
        (["--epsilons", ""], "--epsilons"),
        (["--images", "0"], "--images"),
        (["--images", "10001"], "10,000"),
        (["--images", "many"], "--images: must be a whole number, not 'many'"),
        (["--seed", "-1"], "--seed"),
        (["--device", "tpu"], "--device"),
        (["--device", "cuda:99"], "cuda:99"),
        (["--profile", "slow"], "--profile"),
        (["--budget", "cheap"], '--budget: "cheap" is not one of quick, standard, thorough'),
        (["--attack", "adaptve"], 'unknown attack "adaptve"; did you mean "adaptive"?'),
        (["--batch-size", "0"], "--batch-size"),
        (["--config", "nowhere.toml"], "nowhere.toml"),
        (["--db", "no/such/folder/results.db"], "no/such/folder"),
        (["--data-dir", "no-such-folder"], "no-such-folder"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_input_is_named_and_nothing_is_written(program: Program, arguments: list[str], complaint: str) -> None:
    result = program("run", *arguments, ROBENCH_CACHE=str(program.folder / "cache"))
    expect_refusal(result, complaint)
    assert list(program.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("schema = 1\n[defaults]\nimages = 'many'\n", "benchmarks.toml: defaults.images"),
        ("schema = 1\n[defaults]\nattacks = ['pdg']\n", 'did you mean "pgd"?'),
        ("schema = 1\n[defaults\n", "benchmarks.toml"),
        ("schema = 1\n[defualts]\n", 'did you mean "defaults"?'),
    ],
)
def test_an_invalid_benchmarks_file_is_named_with_the_place(program: Program, content: str, complaint: str) -> None:
    (program.folder / "benchmarks.toml").write_text(content)
    expect_refusal(program("run"), complaint)


def test_a_foreign_database_is_refused_and_left_alone(program: Program) -> None:
    path = program.folder / "robench.db"
    path.write_bytes(b"this is not a database, but it is somebody's file" * 100)
    before = path.read_bytes()
    expect_refusal(program(*program.toy_run), "robench.db")
    assert path.read_bytes() == before


def test_a_truncated_data_file_is_named(program: Program) -> None:
    folder = program.folder / "data"
    folder.mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte.gz").write_bytes(b"\x1f\x8b\x08\x00")
    expect_refusal(program("run", "--data-dir", "data"), "t10k")


def test_a_report_without_a_store_says_what_makes_one(program: Program) -> None:
    result = program("report")
    assert result.returncode == 2
    assert "robench run" in result.stderr
    assert not list(program.folder.iterdir())


def test_an_unknown_run_is_refused(program: Program) -> None:
    program(*program.toy_run)
    result = program("report", "--run", "zzzz")
    assert result.returncode == 2
    assert "zzzz" in result.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_within_seconds_and_the_same_command_resumes(
    program: Program, number: signal.Signals, code: int
) -> None:
    command = [*program.toy_run[:-2], "--device", "cpu", "--attack", "pgd", "--images", "120", "--batch-size", "2"]
    process = program.start(*command)
    stored = program.folder / "robench.db"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (stored.exists() and _count(stored) > 0):
        time.sleep(0.05)
    process.send_signal(number)
    begun = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - begun < 5
    assert process.returncode == code, err
    assert "To go on: robench run" in err
    partial = _count(stored)
    assert partial > 0
    (run,) = json.loads(program("runs", "list", "--json").stdout)["runs"]
    assert run["status"] == "interrupted"
    incomplete = json.loads(program("report", "--format", "json").stdout)
    assert incomplete["complete"] is False
    resumed = program(*command, "--json")
    assert resumed.returncode == 0, resumed.stderr
    fresh = program(*command, "--json", "--db", "fresh.db")
    assert _timeless(resumed.stdout) == _timeless(fresh.stdout)


def test_kill_9_loses_no_stored_shard_and_the_same_command_resumes(program: Program) -> None:
    command = [*program.toy_run, "--attack", "pgd", "--batch-size", "2"]
    process = program.start(*command)
    stored = program.folder / "robench.db"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (stored.exists() and _count(stored) > 20):
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert _count(stored) > 20
    resumed = program(*command, "--json")
    fresh = program(*command, "--json", "--db", "fresh.db")
    assert _timeless(resumed.stdout) == _timeless(fresh.stdout)


def _timeless(text: str) -> dict[str, object]:
    """Return a run as JSON without what depends on when it was made: when cards were written, and seconds on them."""
    document: dict[str, object] = json.loads(re.sub(r"[\d.]+ s\)", "… s)", text))
    cards = document["cards"]
    assert isinstance(cards, list)
    for card in cards:
        del card["created"]
    return document


def _count(path: object) -> int:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    try:
        return int(connection.execute("SELECT count(*) FROM outcomes").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # not created yet
    finally:
        connection.close()


def test_several_runs_are_one_report_and_latex_has_rows_of_rejections(program: Program) -> None:
    first, second = (
        json.loads(program(*program.toy_run, "--seed", seed, "--json", "--quiet").stdout)["run"] for seed in "01"
    )
    both = ("report", "--run", first, "--run", second, "--run", first[:6])

    lines = program(*both, "--format", "csv").stdout.splitlines()
    assert [line.split(",")[0] for line in lines].count("run") == 1
    assert {line.split(",")[0] for line in lines[1:]} == {first, second}
    assert [one["run"] for one in json.loads(program(*both, "--json").stdout)["runs"]] == [first, second]
    table = program(*both).stdout
    assert table.index(first) < table.index(second)
    tables = program(*both, "--format", "latex", "--proportion").stdout
    assert [tables.count(f"\\label{{tab:robench-{run}}}") for run in (first, second)] == [1, 1]
    assert "\\quad rejected" in tables
    refused = program("report", "--proportion")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--format latex" in refused.stderr
