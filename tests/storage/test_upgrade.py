"""A store of an older schema is upgraded by the next run, with nothing lost and a copy of what it was."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from robench.errors import StoreError
from robench.storage import connection, schema
from robench.storage.rows import shard_sha256
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from tests.storage.conftest import Child, Make

OLD = Path(__file__).with_name("schema_0001.sqlite")
"""Two runs that share cells, one of them with a failed cell, as the robench of schema 0001 stored them."""
OLD_2 = Path(__file__).with_name("schema_0002.sqlite")
"""The like with an ensemble, a stochastic defense, a finding and a card, as the robench of schema 0002 stored them."""
OLD_5 = Path(__file__).with_name("schema_0005.sqlite")
"""The like with every digest, as the robench of schema 0005 stored them."""
TABLES = ("runs", "cells", "run_cells", "shards", "outcomes")


def table(path: Path, query: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query)]


def revision(path: Path) -> list[dict[str, Any]]:
    return table(path, "SELECT version_num FROM alembic_version")


def test_digests_of_before_still_hold(path: Path) -> None:
    shutil.copyfile(OLD_5, path)
    with ResultStore.open(str(path), create=True) as store:
        assert store.verify().faults == ()


@pytest.fixture
def old(path: Path) -> Path:
    shutil.copyfile(OLD, path)
    return path


@pytest.mark.parametrize(
    ("older", "names"),
    [(OLD, TABLES), (OLD_2, (*TABLES, "findings", "cards")), (OLD_5, (*TABLES, "findings", "cards", "seals"))],
    ids=["0001", "0002", "0005"],
)
def test_nothing_is_lost_by_an_upgrade(path: Path, older: Path, names: tuple[str, ...]) -> None:
    shutil.copyfile(older, path)
    ResultStore.open(str(path), create=True).close()
    assert revision(path) == [{"version_num": schema.REVISIONS[-1]}]
    for name in (*names, "results", "worst_case"):
        before, after = table(older, f"SELECT * FROM {name}"), table(path, f"SELECT * FROM {name}")
        assert len(before) == len(after) > 0
        assert [{column: row[column] for column in before[0]} for row in after] == before


@pytest.mark.parametrize("older", [OLD, OLD_2], ids=["0001", "0002"])
def test_old_balls_are_linf_ones_and_clean_images_are_in_none(path: Path, older: Path) -> None:
    shutil.copyfile(older, path)
    ResultStore.open(str(path), create=True).close()
    norms = table(path, "SELECT DISTINCT attack = 'clean' AS clean, norm FROM cells ORDER BY clean")
    assert norms == [{"clean": 0, "norm": "linf"}, {"clean": 1, "norm": "none"}]


def test_old_wins_bound_linf_and_say_nothing_of_l2(path: Path, make: Make) -> None:
    shutil.copyfile(OLD_2, path)
    with ResultStore.open(str(path), create=True) as store:
        subject = make.cell().subject
        assert [(win.image, win.epsilon) for win in store.lowest_wins(subject, "linf")] == [
            (1000, "0.1"),
            (1001, "0.3"),
            (1002, "0.3"),
            (1003, "0.3"),
        ]
        assert store.lowest_wins(subject, "l2") == ()


def test_old_outcomes_are_single_draws_and_keep_their_digests(old: Path) -> None:
    with ResultStore.open(str(old), create=True) as store:
        counts = {count.cell.key: count for count in store.counts("a" * 12)}
        stored = {key: store.outcomes("a" * 12, key) for key in counts}
    for key, outcomes in stored.items():
        assert counts[key].fooled == counts[key].wrong == sum(outcome.draws_wrong for outcome in outcomes)
        assert counts[key].rejected_share == counts[key].rejected == sum(o.draws_rejected for o in outcomes)
        assert {outcome.draws for outcome in outcomes} <= {1}
    query = "SELECT c.key, s.id, s.sha256 FROM shards s JOIN cells c ON c.id = s.cell_id"
    for row in table(old, query):
        positions = [o["position"] for o in table(old, f"SELECT position FROM outcomes WHERE shard_id = {row['id']}")]
        members = [outcome for outcome in stored[row["key"]] if outcome.position in positions]
        assert shard_sha256(row["key"], members) == row["sha256"]


def test_what_old_cells_do_not_say_is_unknown(old: Path) -> None:
    with ResultStore.open(str(old), create=True) as store:
        counts = store.counts("a" * 12)
        assert store.member_counts("a" * 12) == ()
        assert store.lowest_wins("", "linf") == ()
    assert {(c.cell.subject, c.cell.stochastic, c.cell.ensemble, c.cell.member) for c in counts} == {
        ("", False, "", False)
    }
    assert [(c.seconds, c.queries) for c in counts] == [(2.0, 0)] * 4 + [(0.0, 0)]


def test_an_upgraded_store_goes_on(old: Path, make: Make) -> None:
    with ResultStore.open(str(old), create=True) as store:
        run, cell = make.run(id_="c" * 12), make.cell(9)
        store.add_run(run, [cell, store.counts("b" * 12)[0].cell])
        store.add_shard(cell.key, make.shard_of(make.drawn(0, 10, 7, 1)))
        assert [(count.n, count.fooled) for count in store.counts(run.id)] == [(1, 0.7), (4, 1.0)]


def test_what_is_upgraded_is_copied_first(old: Path) -> None:
    ResultStore.open(str(old), create=True).close()
    copy = old.with_name(f"{old.name}.schema-0001.bak")
    assert {path.name for path in old.parent.iterdir()} == {old.name, copy.name, f"{old.name}.lock"}
    assert revision(copy) == [{"version_num": "0001"}]
    for name in TABLES:
        assert table(copy, f"SELECT * FROM {name}") == table(OLD, f"SELECT * FROM {name}")


def test_a_current_store_is_not_copied(path: Path) -> None:
    for _ in range(2):
        ResultStore.open(str(path), create=True).close()
    assert not list(path.parent.glob("*.bak*"))


def test_reading_an_older_schema_is_refused_with_the_command_that_upgrades_it(old: Path) -> None:
    with pytest.raises(StoreError) as caught:
        ResultStore.open(str(old), create=False)
    newest = schema.REVISIONS[-1]
    assert caught.value.message == f"{old} was written by an older robench (schema 0001; this one needs {newest})"
    assert caught.value.hint == "robench db upgrade brings it up to date, or name another file with --db"
    ResultStore.check(str(old))
    assert old.read_bytes() == OLD.read_bytes()
    assert list(old.parent.iterdir()) == [old]


def test_an_interrupted_upgrade_leaves_the_old_schema_whole(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate = schema.migrate

    def interrupted(connection_: Connection) -> None:
        migrate(connection_)
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "migrate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ResultStore.open(str(old), create=True)
    assert revision(old) == [{"version_num": "0001"}]
    monkeypatch.undo()
    test_nothing_is_lost_by_an_upgrade(old, OLD, TABLES)


def test_an_upgrade_without_a_copy_does_not_happen(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = old.with_name(f"{old.name}.schema-0001.bak")
    copy.mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        ResultStore.open(str(old), create=True)
    assert revision(old) == [{"version_num": "0001"}]
    assert not list(old.parent.glob("*.part"))


@pytest.mark.parametrize("wal", [False, True])
def test_processes_that_open_an_old_store_at_once_all_succeed(
    old: Path, child: Callable[[], Child], monkeypatch: pytest.MonkeyPatch, *, wal: bool
) -> None:
    if wal:
        with closing(sqlite3.connect(old)) as database:
            database.execute("PRAGMA journal_mode = wal")
    children = [child() for _ in range(4)]
    if wal:
        assert {process.ask("wal") for process in children} == {"ok"}
    for process in children:
        process.tell("open", str(old))
    assert {process.line().split()[0] for process in children} == {"ok"}
    monkeypatch.setattr(connection, "wal_is_safe", lambda _version: True)
    test_old_outcomes_are_single_draws_and_keep_their_digests(old)


def test_an_older_robench_that_still_runs_cannot_write_to_an_upgraded_store(old: Path) -> None:
    ResultStore.open(str(old), create=True).close()
    with (
        closing(sqlite3.connect(old)) as database,
        pytest.raises(sqlite3.IntegrityError, match=r"outcomes\.draws"),
    ):
        database.execute(
            "INSERT INTO outcomes (cell_id, position, image, label, prediction, outcome, score, shard_id) "
            "VALUES (1, 9, 9, 0, 1, 'wrong', NULL, 1)"
        )
