from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect

from robench.api.records import Card, Finding, Metric, Outcome
from robench.storage.guide import QUESTIONS, TABLES
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.storage.conftest import Make


@pytest.fixture
def path(tmp_path: Path, make: Make) -> Path:
    """A store of two defenses under a naive attack, one of which failed, with findings and two cards."""
    path = tmp_path / "guide.db"
    clean = make.keyed(0, attack="clean", epsilon="0")
    cells = [make.keyed(1, epsilon="0.1"), make.keyed(2, epsilon="0.05")]
    broken = make.keyed(3, defense="puvae")
    with ResultStore.open(str(path), create=True) as store:
        store.add_run(make.run(images=10), [clean, *cells, broken])
        store.add_shard(clean.key, make.shard(range(10)))
        store.add_shard(cells[0].key, make.shard_of(*(make.outcome(p, Outcome.WRONG) for p in range(10))))
        wrong = [make.outcome(p, Outcome.WRONG if p < 4 else Outcome.REJECTED) for p in range(10)]
        store.add_shard(cells[1].key, make.shard_of(*wrong))
        store.fail_cell("0123456789ab", broken.key, "no memory")
        finding = Finding(name="order", status="FAIL", number="3 of 10", meaning="m", mend="x")
        store.add_findings("0123456789ab", "magnet", [finding])
        for day in (1, 2):
            metric = Metric(epsilon="", name="m", value=0.5, low=0.4, high=0.6, n=10)
            card = Card(defense="magnet", created=f"2026-01-0{day}", verdict=f"v{day}", lines=(), metrics=(metric,))
            store.add_card("0123456789ab", card)
    return path


def ask(path: Path, name: str, **parameters: str) -> list[dict[str, object]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        given = {**dict.fromkeys(QUESTIONS[name].parameters, ""), **parameters}
        return [dict(row) for row in database.execute(QUESTIONS[name].sql, given)]


def test_every_table_and_column_of_a_store_is_explained_and_no_other(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    looked = inspect(engine)
    there = {
        name: {column["name"] for column in looked.get_columns(name)}
        for name in (*looked.get_table_names(), *looked.get_view_names())
        if name != "alembic_version"
    }
    engine.dispose()

    assert {name: set(table.columns) for name, table in TABLES.items()} == there


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_runs_with_and_without_its_parameters(path: Path, name: str) -> None:
    everything = ask(path, name)

    assert everything
    assert ask(path, name, run="0123") == everything
    assert ask(path, name, run="fff") == []


def test_questions_give_the_figures_of_the_store(path: Path) -> None:
    accuracy = {(row["attack"], row["epsilon"]): row for row in ask(path, "robust_accuracy")}
    assert accuracy["pgd", "0.05"]["robust_accuracy_percent"] == 60
    assert accuracy["pgd", "0.05"]["rejected_percent"] == 60
    assert [row["epsilon"] for row in ask(path, "robust_accuracy") if row["attack"] == "pgd"] == ["0.05", "0.1"]
    (clean,) = ask(path, "clean_accuracy")
    assert (clean["accuracy_percent"], clean["false_positive_percent"]) == (100, 0)
    assert [(row["naive_percent"], row["adaptive_percent"]) for row in ask(path, "claim_and_bound")] == [
        (60, None),
        (0, None),
    ]
    assert [row["verdict"] for row in ask(path, "verdicts")] == ["v2"]
    assert [(row["status"], row["name"]) for row in ask(path, "doubts")] == [("FAIL", "order")]
    assert [row["critical_epsilon"] for row in ask(path, "critical_epsilons")] == [0.05] * 4 + [0.1] * 6
    assert sum(int(str(row["images"])) for row in ask(path, "confusions", defense="mag")) == 14
    assert ask(path, "confusions", defense="puvae") == []
    assert [(row["attack"], row["seconds"], row["queries"]) for row in ask(path, "costs")] == [
        ("pgd", 3, 800),
        ("clean", 1.5, 400),
    ]
    assert [(row["defense"], row["failure"]) for row in ask(path, "failures")] == [("puvae", "no memory")]
