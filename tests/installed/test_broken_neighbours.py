"""Whatever a plugin does wrong costs only itself: the program as a user installs it, among the worst of plugins."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.installed.conftest import ROOT, THIRD_PARTY, make_environment

if TYPE_CHECKING:
    import subprocess

    from tests.installed.conftest import Environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RUN = (
    *("run", "--dataset", "toy-bars", "--classifier", "toy-linear", "--epsilons", "0.1,0.3", "--images", "30"),
    *("--device", "cpu", "--json", "--quiet", "--attack", "fgsm", "--defense", "none", "--defense", "good-shade"),
)
BROKEN_DEFENSES = {
    "broken-build": "OSError: cannot be built",
    "broken-infinite": "values that are not finite",
    "broken-logits": "logits have shape",
    "broken-input": "writes to the images it is asked about",
}
BROKEN_ATTACKS = {
    "broken-crash": "ZeroDivisionError: this attack always crashes",
    "broken-nan": "values that are not finite",
    "broken-shape": "returned (1, 1, 8, 8)",
    "broken-original": "left the Linf ball",
}
NOT_LOADED = {
    "broken-import": "a_module_that_nobody_has",
    "sleeping": "SlowPluginError: not loaded after 1 s",
    "looping": "SlowPluginError: not loaded after 1 s",
    "leaving": "SystemExit: 0",
    "malformed": "attack name 'Bad Name' is malformed",
    "future": "version 99 of the plugin interface, and this robench has 1.0",
    "clashing": "is already offered by",
}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = make_environment(tmp_path_factory.mktemp("healthy"))
    environment.install(ROOT, THIRD_PARTY / "toys", THIRD_PARTY / "good")
    return environment


@pytest.fixture(scope="module")
def infested(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = make_environment(tmp_path_factory.mktemp("infested"))
    names = ("toys", "good", "broken", "clashing", "hostile")
    environment.install(ROOT, *(THIRD_PARTY / name for name in names))
    environment.variables["ROBENCH_PLUGIN_TIMEOUT"] = "1"  # type: ignore[index]
    return environment


@pytest.fixture(scope="module")
def among_broken(infested: Environment) -> subprocess.CompletedProcess[str]:
    """A run that asks for what works and for what does not."""
    asked = [word for name in BROKEN_DEFENSES for word in ("--defense", name)]
    asked += [word for name in (*BROKEN_ATTACKS, "loud") for word in ("--attack", name)]
    return infested.robench(*RUN, *asked)


def answer(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Parse stdout, which must be one JSON object and nothing else."""
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_healthy_plugins_get_the_same_results_as_without_broken_ones(
    healthy: Environment, among_broken: subprocess.CompletedProcess[str]
) -> None:
    alone = healthy.robench(*RUN)
    assert alone.returncode == 0, alone.stderr
    expected, found = answer(alone), answer(among_broken)
    assert expected["failed_plugins"] == []
    assert len(expected["results"]) == 4
    for table in ("clean", "results"):
        assert all(row in found[table] for row in expected[table])


def test_what_was_asked_for_and_failed_is_in_the_exit_code_the_summary_and_the_store(
    infested: Environment, among_broken: subprocess.CompletedProcess[str]
) -> None:
    assert among_broken.returncode == 1
    rows = answer(among_broken)["failures"]
    for name, reason in BROKEN_DEFENSES.items():
        assert all(reason in row["reason"] for row in rows if row["defense"] == name and row["attack"] == "fgsm")
    for name, reason in BROKEN_ATTACKS.items():
        reasons = [row["reason"] for row in rows if row["attack"] == name and row["defense"] in {"none", "good-shade"}]
        assert len(reasons) == 4
        assert all(reason in text for text in reasons)
    assert {row["defense"] for row in rows} == {*BROKEN_DEFENSES, "none", "good-shade"}
    with sqlite3.connect(infested.folder / "robench.db") as database:
        stored = {text for (text,) in database.execute("SELECT failure FROM run_cells WHERE failure != ''")}
    database.close()
    assert stored == {row["reason"] for row in rows}


def test_what_was_not_loaded_is_in_the_summary(
    infested: Environment, among_broken: subprocess.CompletedProcess[str]
) -> None:
    failed = answer(among_broken)["failed_plugins"]
    assert {item["entry_point"] for item in failed} == set(NOT_LOADED)
    assert all(NOT_LOADED[item["entry_point"]] in item["reason"] for item in failed)
    table = infested.robench("report").stdout
    assert "not loaded: plugin sleeping of robench-hostile 0.1: SlowPluginError: not loaded after 1 s" in table


def test_what_was_not_loaded_is_listed(infested: Environment) -> None:
    result = infested.robench("plugins", "list", "--json")
    assert result.returncode == 1
    listed = answer(result)
    reasons = [(item["entry_point"], item["reason"]) for item in listed["failures"]]
    assert {name for name, _ in reasons} == set(NOT_LOADED)
    assert all(NOT_LOADED[name] in reason for name, reason in reasons)
    origins = {entry["name"]: entry["distribution"] for entry in listed["plugins"] if entry["kind"] == "defense"}
    assert (origins["none"], origins["good-shade"]) == ("robench", "robench-good")
    assert origins["free-name"] == "robench-other-clashing"
    clashes = [reason for name, reason in reasons if name == "clashing"]
    assert [reason.partition(";")[0] for reason in clashes] == [
        f'defense "none" is already offered by robench {version_of(listed, "none")}',
        'defense "good-shade" is already offered by robench-good 1.0',
    ]


def version_of(listed: dict[str, Any], name: str) -> str:
    (version,) = (entry["version"] for entry in listed["plugins"] if entry["name"] == name)
    return str(version)


def test_what_plugins_say_goes_to_stderr(among_broken: subprocess.CompletedProcess[str]) -> None:
    said = among_broken.stderr
    for how in ("printed", "written", "echoed"):
        assert f"{how} at import" in said
        assert f"{how} at work" in said
    assert answer(among_broken)["dataset"] == "toy-bars"


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [(["--no-plugins"], {}), ([], {"ROBENCH_DISABLE_PLUGINS": "1"})],
    ids=["flag", "variable"],
)
def test_without_plugins_only_the_built_ins_are_there(
    infested: Environment, arguments: list[str], variables: dict[str, str]
) -> None:
    result = infested.robench(*arguments, "plugins", "list", "--json", **variables)
    assert result.returncode == 0, result.stderr
    listed = answer(result)
    assert {entry["distribution"] for entry in listed["plugins"]} == {"robench"}
    assert listed["failures"] == []
    assert result.stderr == ""


def test_without_plugins_a_third_party_name_is_unknown(infested: Environment) -> None:
    result = infested.robench("--no-plugins", *RUN)
    assert result.returncode == 2
    assert 'unknown dataset "toy-bars"' in result.stderr


def test_the_time_limit_costs_a_normal_start_nothing(infested: Environment) -> None:
    assert infested.robench("--help").stderr == ""
