"""`robench plugins new` writes what can be installed, passes its checks and runs, for every kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.installed.conftest import ROOT, THIRD_PARTY, Environment, make_environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KINDS = ("defense", "attack", "dataset", "classifier")
RUN = ("run", "--images", "20", "--epsilons", "0.2", "--device", "cpu", "--json", "--quiet")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment in which a new plugin of each kind has been written and installed, as one would."""
    environment = make_environment(tmp_path_factory.mktemp("workshop"))
    environment.install(ROOT, THIRD_PARTY / "toys")
    for kind in KINDS:
        result = environment.robench("plugins", "new", kind, f"acme-{kind}", "--into", "plugins")
        assert result.returncode == 0, result.stderr
        assert f"    pip install -e ./plugins/acme-{kind}\n" in result.stdout
        assert f"    robench plugins check acme-{kind}\n" in result.stdout
        assert f"    robench run --{kind} acme-{kind}" in result.stdout
    installed = environment.run("pip", "install", *(word for kind in KINDS for word in ("-e", f"plugins/acme-{kind}")))
    assert installed.returncode == 0, installed.stderr
    return environment


def test_new_plugins_are_listed(workshop: Environment) -> None:
    result = workshop.robench("plugins", "list", "--json")
    assert result.returncode == 0, result.stdout
    found = {(entry["kind"], entry["name"], entry["distribution"]) for entry in json.loads(result.stdout)["plugins"]}
    assert {(kind, f"acme-{kind}", f"acme-{kind}") for kind in KINDS} <= found


def test_new_plugins_run(workshop: Environment) -> None:
    result = workshop.robench(*RUN, *(word for kind in KINDS for word in (f"--{kind}", f"acme-{kind}")))
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    (clean,), (attacked,) = summary["clean"], summary["results"]
    assert summary["complete"]
    assert (clean["defense"], attacked["attack"]) == ("acme-defense", "acme-attack")
    assert clean["accuracy"] > 0.8
    assert attacked["accuracy"] < clean["accuracy"]


def test_new_plugins_pass_their_own_conformance_tests(workshop: Environment) -> None:
    result = workshop.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "plugins")
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout


def test_nothing_is_overwritten(workshop: Environment, tmp_path: Path) -> None:
    mine = tmp_path / "my-own"
    mine.mkdir()
    (mine / "work.txt").write_text("of a year")
    result = workshop.robench("plugins", "new", "defense", "my-own", "--into", str(tmp_path))
    assert result.returncode == 2
    assert f"{mine} is there already; take another name" in result.stderr
    assert [path.name for path in mine.iterdir()] == ["work.txt"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("My_Defense", '"My_Defense" cannot be the name of a plugin; use kebab-case'),
        ("3d-filter", '"3d-filter" cannot be the name of a plugin'),
        ("../escape", '"../escape" cannot be the name of a plugin'),
        ("lambda", '"lambda" is a keyword of Python'),
        ("adaptive", '"adaptive" is reserved'),
        ("magnet", 'the defense "magnet" is already offered by robench'),
        ("mnist", 'the dataset "mnist" is already offered by robench'),
        ("toy-linear", 'the classifier "toy-linear" is already offered by robench-toys 1.0'),
        ("torch", '"torch" would hide what is installed'),
        ("json", '"json" would hide what is installed'),
        ("import-linter", '"import-linter" would hide what is installed'),
    ],
)
def test_a_name_that_cannot_be_is_refused(workshop: Environment, tmp_path: Path, name: str, expected: str) -> None:
    result = workshop.robench("plugins", "new", "defense", name, "--into", str(tmp_path / "here"))
    assert result.returncode == 2
    assert expected in result.stderr
    assert not (tmp_path / "here").exists()
