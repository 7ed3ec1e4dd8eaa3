from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from robench.api.records import Card, FailureRow
from robench.errors import UsageError
from robench.report import FORMATS, render
from robench.report.csv_format import COLUMNS
from robench.report.formats import render_all
from robench.report.table import build_grid

if TYPE_CHECKING:
    from robench.api.records import RunSummary
    from tests.report.conftest import SummaryFactory


def test_json_has_the_documented_keys(small: RunSummary) -> None:
    failure = FailureRow(defense="none", attack="bim", epsilon="0.1", reason="no memory")

    document = json.loads(render(replace(small, failures=(failure,)), "json"))

    counts = ["n", "accuracy", "accuracy_low", "accuracy_high", "correct", "wrong", "rejected"]
    assert list(document) == [
        *("run", "complete", "dataset", "classifier", "profile", "images", "seed", "norm"),
        *("clean", "results", "worst", "failures", "failed_plugins", "cards", "details"),
    ]
    assert list(document["clean"][0]) == ["defense", *counts]
    assert list(document["results"][0]) == ["defense", "attack", "knowledge", "norm", "epsilon", *counts]
    assert list(document["worst"][0]) == [
        *("defense", "attack", "knowledge", "norm", "worst_case_epsilon"),
        *("n", "accuracy", "accuracy_low", "accuracy_high", "rejected"),
    ]
    assert document["failures"] == [{"defense": "none", "attack": "bim", "epsilon": "0.1", "reason": "no memory"}]


def test_json_keeps_every_value(small: RunSummary) -> None:
    document = json.loads(render(small, "json"))

    assert (document["run"], document["complete"], document["images"], document["seed"]) == (
        "0123456789ab",
        True,
        500,
        7,
    )
    for key in ("clean", "results", "worst"):
        assert document[key] == [asdict(row) for row in getattr(small, key)]
    assert document["results"][2]["epsilon"] == "0.1"
    assert document["details"] == small.details


def test_json_refuses_a_number_that_json_lacks(small: RunSummary) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        render(replace(small, details={"threshold": float("nan")}), "json")


def test_csv_round_trips(small: RunSummary) -> None:
    lines = list(csv.DictReader(io.StringIO(render(small, "csv"))))

    assert len(lines) == len(small.clean) + len(small.results)
    assert lines[0] == {
        "run": "0123456789ab",
        "dataset": "mnist",
        "classifier": "a",
        "profile": "quick",
        "seed": "7",
        "defense": "none",
        "attack": "clean",
        "knowledge": "none",
        "norm": "none",
        "epsilon": "0",
        "n": "500",
        "accuracy": "0.99",
        "accuracy_low": "0.98",
        "accuracy_high": "1.0",
        "correct": "495",
        "wrong": "5",
        "rejected": "0",
        "metric": "accuracy",
        "verdict": "",
        "images": "500",
        "complete": "yes",
        "threshold": "",
        "data_digest": "0123456789abcdef" * 4,
        "classifier_digest": "fedcba9876543210" * 4,
        "defense_digest": "1" * 64,
        "robench": "",
        "suite": "",
        "variant": "",
    }
    assert {(line["defense"], line["threshold"], line["defense_digest"][:1]) for line in lines} == {
        ("none", "", "1"),
        ("magnet", "0.0123456", "2"),
    }
    for line, result in zip(lines[len(small.clean) :], small.results, strict=True):
        assert {key: line[key] for key in asdict(result)} == {key: str(value) for key, value in asdict(result).items()}
        assert float(line["accuracy"]) == result.accuracy


def test_csv_quotes_what_needs_quotes(small: RunSummary) -> None:
    odd = replace(small, run=replace(small.run, dataset='a,"b"\nc'))

    assert {line["dataset"] for line in csv.DictReader(io.StringIO(render(odd, "csv")))} == {'a,"b"\nc'}


def test_csv_tells_an_incomplete_run(make_summary: SummaryFactory) -> None:
    text = render(make_summary({("none", "pgd", "0.1"): (300, 0, 0)}, complete=False), "csv")

    (line,) = csv.DictReader(io.StringIO(text))
    assert (line["complete"], line["n"], line["images"]) == ("no", "300", "500")


def test_several_runs_are_one_csv_and_one_json(small: RunSummary) -> None:
    other = replace(small, run=replace(small.run, id="ba9876543210"))

    lines = list(csv.DictReader(io.StringIO(render_all([small, other], "csv"))))
    assert [line["run"] for line in lines] == [small.run.id] * 6 + [other.run.id] * 6
    document = json.loads(render_all([small, other], "json"))
    assert document["runs"] == [json.loads(render(summary, "json")) for summary in (small, other)]
    assert render_all([small], "json") == render(small, "json")
    assert render_all([small, other], "markdown") == render(small, "markdown") + "\n" + render(other, "markdown")
    assert render_all([small, other], "latex").count(r"\label{tab:robench-") == 2


def test_every_column_of_the_csv_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
    page = text[text.index("## CSV") : text.index("## JSON")]

    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert tuple(named) == COLUMNS


def test_markdown_is_the_same_table(small: RunSummary) -> None:
    grid = build_grid(small)
    title, table, notes = render(small, "markdown").split("\n\n")

    header, rule, *rows = (
        [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")] for line in table.splitlines()
    )

    assert title == f"**{grid.title}**"
    assert tuple(header) == grid.header
    assert all(set(cell) == {"-"} for cell in rule)
    assert rows == [[" ".join(cell) for cell in row] for row in grid.rows]
    assert notes.splitlines() == [f"- {note}" for note in grid.notes]
    assert len({len(line) for line in table.splitlines()}) == 1


def test_markdown_escapes_its_own_signs(make_summary: SummaryFactory) -> None:
    failure = FailureRow(defense="none", attack="pgd", epsilon="0.1", reason="a | b\n*c* <d>")

    text = render(make_summary({}, complete=False, failures=[failure]), "markdown")

    assert r"- failed: pgd on none at eps 0.1: a \| b \*c\* \<d>" in text
    assert "**INCOMPLETE: " in text


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_ends_with_one_line_feed(small: RunSummary, name: str) -> None:
    text = render(small, name)

    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_unknown_format_is_refused_with_the_choices(small: RunSummary) -> None:
    with pytest.raises(UsageError, match='"xml"; choose one of table, json, csv, markdown, latex'):
        render(small, "xml")


def test_reports_load_rich_only_when_they_print() -> None:
    code = "import sys, robench.report; sys.exit('rich' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_markdown_numbers_the_lines_of_a_card(small: RunSummary) -> None:
    card = Card(defense="none", created="", verdict="v", lines=(("THREAT", "a"), ("CLEAN", "b")))
    assert "1. THREAT: a\n2. CLEAN: b\n" in render(replace(small, cards=(card,)), "markdown")
