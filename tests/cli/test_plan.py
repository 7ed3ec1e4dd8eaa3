"""``robench plan`` and ``robench run --dry-run`` as a user meets them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Program


def test_a_plan_as_json_has_time_and_cost_and_as_a_table_the_same_sweeps(program: Program) -> None:
    assert program("train", *program.toy_run[1:9], "--device", "cpu").returncode == 0
    result = program("plan", *program.toy_run[1:], "--price-per-hour", "36", "--json")
    assert result.returncode == 0, result.stderr
    plan = json.loads(result.stdout)
    assert (plan["cells"], plan["outcomes"]) == (6, 240)
    assert plan["cost"] == pytest.approx(plan["seconds"] / 100)
    assert plan["seconds"] == pytest.approx(sum(item["seconds"] for item in plan["sweeps"]))
    table = program("plan", *program.toy_run[1:])
    assert "40 images on cpu: 6 cells, 240 outcomes to do" in table.stdout
    assert "cost" not in table.stdout
    assert not (program.folder / "robench.db").exists()


def test_a_dry_run_prints_the_plan_and_stores_nothing(program: Program) -> None:
    result = program(*program.toy_run, "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "6 cells, 240 outcomes to do" in result.stdout
    assert "about" not in result.stdout
    assert list(program.folder.iterdir()) == []


@pytest.mark.parametrize("price", ["-1", "nan", "inf"])
def test_a_price_that_is_none_is_refused(program: Program, price: str) -> None:
    result = program("plan", *program.toy_run[1:], "--price-per-hour", price)
    assert result.returncode == 2
    assert "--price-per-hour" in result.stderr


def test_a_part_says_how_to_go_on(program: Program) -> None:
    result = program(*program.toy_run, "--shard", "1/2", "--batch-size", "8")
    assert result.returncode == 0, result.stderr
    assert "part 1/2 is stored. Join all parts with robench db merge" in result.stderr


def test_a_part_without_images_says_so(program: Program) -> None:
    result = program(*program.toy_run, "--shard", "1/50")
    assert result.returncode == 0, result.stderr
    assert "part 1/50 is empty: 40 images do not make so many parts" in result.stderr


def test_a_dry_run_that_can_look_nothing_up_fixes_no_thresholds(program: Program) -> None:
    assert program("train", *program.toy_run[1:9], "--device", "cpu").returncode == 0
    result = program(*program.toy_run, "--dry-run")
    assert "240 outcomes to do" in result.stdout
    assert "to be trained" not in result.stdout
    assert "calibrate" not in result.stderr
