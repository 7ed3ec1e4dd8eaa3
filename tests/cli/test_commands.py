"""The smaller commands, and how fast the program starts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import robench
from robench.config.location import packaged_text

if TYPE_CHECKING:
    from tests.cli.conftest import Program

HEAVY = ("torch", "sqlalchemy", "numpy", "alembic", "foolbox", "altair", "vl_convert", "jinja2", "PIL")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["figure", "--help"],
        ["--version"],
        ["plugins", "list"],
        ["plugins", "show", "puvae"],
    ],
)
def test_light_commands_import_nothing_heavy(program: Program, arguments: list[str]) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['robench', *{arguments!r}]\n"
        "from robench.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=program.environ,
        cwd=program.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr.strip() == ""


def test_help_starts_fast(program: Program) -> None:
    # CPU time of the process and its children, so that busy neighbours do not fail the test.
    import resource

    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert program("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.3


def test_version_is_that_of_the_distribution(program: Program) -> None:
    result = program("--version")
    assert result.stdout == f"robench {robench.__version__}\n"


def test_plugins_list_shows_built_ins_and_third_parties_alike(program: Program) -> None:
    result = program("plugins", "list")
    assert result.returncode == 0, result.stderr
    for name in (
        "mnist",
        "fashion-mnist",
        "cifar10",
        "paper-a",
        "paper-b",
        "puvae-detect",
        "magnet",
        "pgd",
        "forced-class",
        "latent-line",
        "soft-selection",
        "transfer",
        "joint",
        "selective-pgd",
        "orthogonal-pgd",
        "eot-pgd",
        "max-score",
        "noise",
        "square-reject",
        "hopskipjump-reject",
        "cw",
        "deepfool",
        "hopskipjump",
        "boundary",
        "uniform-noise",
        "gaussian-noise",
        "apgd",
        "apgd-t",
        "fab",
        "square",
        "autoattack",
        "toy-noise",
    ):
        assert name in result.stdout
    assert "through a library that nobody has (needs module_that_nobody_has)" in result.stdout
    entries = json.loads(program("plugins", "list", "--json").stdout)["plugins"]
    missing = {entry["name"]: entry["missing"] for entry in entries}
    assert missing["toy-foreign"] == {"module_that_nobody_has": "robench-toys[foreign]"}
    assert missing["pgd"] == missing["mnist"] == {}
    origins = {entry["name"]: entry["distribution"] for entry in entries}
    assert origins["puvae"] == "robench"
    assert origins["toy-noise"] == "robench-toys"


def test_a_plugin_that_fails_to_import_is_listed_and_costs_only_itself(program: Program, broken_folder: Path) -> None:
    path = f"{program.environ['PYTHONPATH']}:{broken_folder}"
    listed = program("plugins", "list", PYTHONPATH=path)
    assert listed.returncode == 1
    assert "broken-import" in listed.stdout
    assert "a_module_that_nobody_has" in listed.stdout
    run = program(*program.toy_run, "--json", PYTHONPATH=path)
    assert run.returncode == 0, run.stderr


def test_a_failing_attack_ends_with_exit_code_1_and_the_others_results(program: Program, broken_folder: Path) -> None:
    path = f"{program.environ['PYTHONPATH']}:{broken_folder}"
    result = program(*program.toy_run, "--attack", "broken-crash", "--json", PYTHONPATH=path)
    assert result.returncode == 1
    answer = json.loads(result.stdout)
    assert answer["complete"] is False
    assert {row["attack"] for row in answer["results"]} == {"fgsm"}
    assert {row["attack"] for row in answer["failures"]} == {"broken-crash"}
    assert "ZeroDivisionError" in result.stderr


def test_a_failing_member_of_an_ensemble_ends_with_exit_code_1_and_is_told(
    program: Program, broken_folder: Path
) -> None:
    path = f"{program.environ['PYTHONPATH']}:{broken_folder}"
    command = ["run", "--dataset", "toy-bars", "--classifier", "toy-linear", "--defense", "broken-gradient"]
    command += ["--attack", "adaptive", "--epsilons", "0.1", "--images", "10", "--device", "cpu", "--json"]
    result = program(*command, PYTHONPATH=path)
    assert result.returncode == 1, result.stderr
    answer = json.loads(result.stdout)
    assert {row["attack"] for row in answer["failures"]} == {"joint", "forced-class"}
    assert {(row["defense"], row["attack"]) for row in answer["results"]} == {
        ("none", "adaptive"),
        ("broken-gradient", "adaptive"),
    }
    assert "goes on without joint" in result.stderr
    assert program("report", "--format", "json", PYTHONPATH=path).stdout == result.stdout


def test_what_a_plugin_prints_is_no_result(program: Program, broken_folder: Path) -> None:
    path = f"{program.environ['PYTHONPATH']}:{broken_folder}"
    result = program(*program.toy_run, "--attack", "broken-manners", "--json", PYTHONPATH=path)
    assert json.loads(result.stdout)["complete"] is True
    assert "this is no result" in result.stderr


def test_train_says_what_it_did_and_does_it_once(program: Program) -> None:
    names = ("--dataset", "toy-bars", "--classifier", "toy-linear", "--defense", "toy-detect")
    arguments = ("train", *names, "--seed", "7", "--json")
    first = json.loads(program(*arguments).stdout)["networks"]
    again = json.loads(program(*arguments).stdout)["networks"]
    anew = json.loads(program(*arguments, "--retrain").stdout)["networks"]
    assert [entry["network"] for entry in first] == ["toy-linear"]
    assert [entry["trained"] for entry in (*first, *again, *anew)] == [True, False, True]
    assert first[0]["digest"] == again[0]["digest"] == anew[0]["digest"]
    assert len(first[0]["history"]) == 4
    table = program(*arguments[:-1])
    assert "in the cache" in table.stdout


def test_runs_are_listed_and_shown(program: Program) -> None:
    run = json.loads(program(*program.toy_run, "--json").stdout)["run"]
    listed = program("runs", "list")
    assert run in listed.stdout
    assert "complete" in listed.stdout
    shown = program("runs", "show", run[:6])
    assert shown.returncode == 0
    assert "robench run --dataset toy-bars" in shown.stdout
    assert json.loads(program("runs", "show", run, "--json").stdout)["run"] == run


def test_doctor_looks_at_everything_and_changes_nothing(program: Program) -> None:
    result = program("doctor", "--json")
    assert result.returncode == 0, result.stdout
    findings = json.loads(result.stdout)["findings"]
    subjects = {finding["subject"] for finding in findings}
    assert {"robench", "libraries", "device", "sqlite", "store", "cache", "data mnist", "plugins"} <= subjects
    mnist = next(finding for finding in findings if finding["subject"] == "data mnist")
    assert mnist["status"] == "ok"
    assert not list(program.folder.iterdir())
    assert "sqlite" in program("doctor").stdout


def test_doctor_reports_a_broken_store(program: Program) -> None:
    (program.folder / "robench.db").write_text("not a database, but long enough to be looked at" * 50)
    result = program("doctor")
    assert result.returncode == 1
    assert "problem" in result.stdout


def test_init_writes_a_file_that_runs_read_and_never_overwrites(program: Program) -> None:
    assert program("init").returncode == 0
    path = program.folder / "benchmarks.toml"
    assert path.read_text() == packaged_text()
    path.write_text(path.read_text().replace("images = 200", "images = 20"))
    command = [argument for argument in program.toy_run if argument not in {"--images", "40"}]
    assert json.loads(program(*command, "--json").stdout)["clean"][0]["n"] == 20
    again = program("init")
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert "images = 20" in path.read_text()


def test_completion_can_be_installed(program: Program) -> None:
    # The script is for the shell that asks for it.
    command = [shutil.which("bash") or "bash", "-c", f"{sys.executable} -m robench --show-completion; exit $?"]
    result = subprocess.run(command, env=program.environ, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "robench" in result.stdout


def test_a_closed_pipe_is_no_traceback(program: Program) -> None:
    process = program.start("plugins", "list")
    assert process.stdout is not None
    process.stdout.close()
    time.sleep(0)
    assert process.stderr is not None
    err = process.stderr.read()
    process.wait()
    process.stderr.close()
    assert "Traceback" not in err


@pytest.mark.parametrize("flag", ["--trace", "--data-dir", "--config"])
def test_an_empty_path_is_refused_and_nothing_is_written(program: Program, flag: str) -> None:
    result = program(*program.toy_run, flag, "")
    assert result.returncode == 2
    assert result.stderr == f"error: {flag}: is empty; name a path, or leave it out\n"
    assert list(program.folder.iterdir()) == []


def test_one_report_has_one_format_and_an_empty_id_is_none(program: Program) -> None:
    assert program(*program.toy_run, "--quiet").returncode == 0
    both = program("report", "--format", "csv", "--json")
    assert (both.returncode, both.stdout) == (2, "")
    assert "two formats" in both.stderr
    assert json.loads(program("report", "--format", "json", "--json").stdout)["complete"] is True
    empty = program("report", "--run", "")
    assert (empty.returncode, empty.stdout) == (2, "")
    assert "is empty" in empty.stderr


def test_a_misspelt_variable_is_noted_once(program: Program) -> None:
    result = program(*program.toy_run, ROBENCH_IMGES="5")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("ROBENCH_IMGES is no variable of robench") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("arguments", [["--version"], ["plugins", "list", "--json"], ["plugins", "list"]])
def test_output_that_cannot_be_written_is_an_error(program: Program, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "robench", *arguments],
            cwd=program.folder,
            env=program.environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr == "error: cannot write the output: No space left on device\n"


def test_a_terminal_without_a_width_gets_a_table(program: Program) -> None:
    assert program("plugins", "list", COLUMNS="0").stdout == program("plugins", "list").stdout != ""


def test_the_help_of_runs_has_no_markup(program: Program) -> None:
    assert "`" not in program("runs", "--help").stdout + program("runs", "list", "--help").stdout
