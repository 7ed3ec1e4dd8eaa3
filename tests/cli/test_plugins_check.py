"""``robench plugins check``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Program

TOY = ("--shape", "1,8,8")


@pytest.fixture
def lying_program(program: Program, lying_folder: Path) -> Program:
    """robench with toys and liars installed."""
    program.environ["PYTHONPATH"] = os.pathsep.join([str(lying_folder), program.environ["PYTHONPATH"]])
    return program


def test_plugin_that_keeps_the_rules_passes(program: Program) -> None:
    done = program("plugins", "check", "robench-toys", *TOY)
    assert done.returncode == 0
    for name in ("dataset toy-bars", "classifier toy-linear", "defense toy-coin", "attack toy-corner"):
        assert f"{name}, from robench-toys 1.0" in done.stdout
    assert "FAIL " not in done.stdout
    assert "check defense toy-coin: " in done.stderr


def test_plugin_that_breaks_a_rule_fails_with_the_reason(lying_program: Program) -> None:
    done = lying_program("plugins", "check", "defense:prints-nothing", *TOY, "--json", "--quiet")
    assert done.returncode == 1
    (plugin,) = json.loads(done.stdout)["plugins"]
    failed = [check for check in plugin["checks"] if check["status"] == "FAIL"]
    assert [check["check"] for check in failed] == ["prints-nothing"]
    assert "stdout is for results" in failed[0]["reason"]
    assert "check defense" not in done.stderr


def test_plugin_that_did_not_load_fails(lying_program: Program) -> None:
    done = lying_program("plugins", "check", "lying-names")
    assert done.returncode == 1
    assert "kebab-case" in done.stdout


def test_name_that_several_kinds_share_is_refused(lying_program: Program) -> None:
    done = lying_program("plugins", "check", "prints-nothing")
    assert done.returncode == 2
    assert "attack:prints-nothing" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("toy-detekt",), 'did you mean "toy-detect"?'),
        (("toy-detect", "--shape", "8x8"), "write --shape 1,28,28"),
        (("toy-detect", "--shape", "1,0,8"), "there is no such image"),
        (("toy-detect", "--dataset", "toy-bras"), '--dataset: unknown dataset "toy-bras"; did you mean "toy-bars"?'),
    ],
)
def test_misuse_is_refused(program: Program, arguments: tuple[str, ...], told: str) -> None:
    done = program("plugins", "check", *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_nothing_to_check_is_no_pass(program: Program) -> None:
    done = program("plugins", "check", ROBENCH_DISABLE_PLUGINS="1")
    assert done.returncode == 2
    assert "--all" in done.stderr
