"""What is peculiar to a store on a server; all else is tested on both kinds of database alike."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic import command
from sqlalchemy import text

from robench.errors import StoreError, UsageError
from robench.storage import connection, schema
from robench.storage.location import Location
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres_server import PostgresServer
    from tests.storage.conftest import Child, Make

PROCESSES, SHARDS = 4, 20
OLD = Path(__file__).with_name("schema_0001.sqlite")


@pytest.mark.postgres
def test_processes_that_open_a_new_database_at_once_all_succeed(
    postgres: PostgresServer, child: Callable[[], Child]
) -> None:
    url, children = postgres.new_database(), [child() for _ in range(PROCESSES)]
    for process in children:
        process.tell("open", url)
    said = {process.line() for process in children}
    assert "ok alembic" in said <= {"ok", "ok alembic"}  # who comes late finds the tables made


@pytest.mark.postgres
def test_writers_of_the_same_cells_neither_double_them_nor_wait_for_ever(
    postgres: PostgresServer, child: Callable[[], Child]
) -> None:
    url, children = postgres.new_database(), [child() for _ in range(PROCESSES)]
    for number, process in enumerate(children):
        process.tell("write", url, [1, 2, 3] if number % 2 else [3, 2, 1], SHARDS, 100 * number)
    for process in children:
        said = [process.line()]
        while said[-1] != "done":
            assert said[-1].isdigit(), said[-1]
            said.append(process.line())
    with ResultStore.open(url, create=False) as store:
        for cell in (1, 2, 3):
            assert [count.n for count in store.counts(f"{cell:012x}")] == [SHARDS * 10]
        assert {fault.what.rpartition(": ")[2] for fault in store.verify().faults} == {
            "its fields are not those that its key was made of"  # the child invents its keys
        }


@pytest.mark.postgres
def test_a_database_of_an_older_schema_is_upgraded_without_a_loss(
    postgres: PostgresServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_database()
    shutil.copyfile(OLD, path)
    place = Location.parse(url)
    engine = connection.connect(place)
    upgrade = command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", lambda config, _head: upgrade(config, "0001"))
        with connection.writing(engine) as opened, closing(sqlite3.connect(OLD)) as old:
            schema.migrate(opened)
            old.row_factory = sqlite3.Row
            for table in ("runs", "cells", "run_cells", "shards", "outcomes"):
                for row in map(dict, old.execute(f"SELECT * FROM {table}")):
                    names = ", ".join(row)
                    values = ", ".join(f":{name}" for name in row)
                    opened.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
    with pytest.raises(StoreError, match=r"schema 0001; .* robench db upgrade brings it up to date"):
        ResultStore.open(url, create=False)
    assert ResultStore.upgrade(url) == ("0001", schema.REVISIONS[-1])
    assert ResultStore.upgrade(url) == (schema.REVISIONS[-1],) * 2
    with ResultStore.open(url, create=False) as store, ResultStore.open(str(path), create=True) as file:
        assert store.counts("a" * 12) == file.counts("a" * 12)
        assert store.describe().schema_revision == schema.REVISIONS[-1]
    engine.dispose()


@pytest.mark.postgres
def test_an_interrupted_migration_leaves_the_database_empty(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, migrate = postgres.new_database(), schema.migrate

    def interrupted(opened: object) -> None:
        migrate(opened)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "migrate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ResultStore.open(url, create=True)
    with pytest.raises(StoreError, match="no result store at"):
        ResultStore.open(url, create=False)
    monkeypatch.undo()
    ResultStore.open(url, create=True).close()


@pytest.mark.postgres
def test_a_database_is_not_copied_to_a_file(postgres: PostgresServer, tmp_path: Path) -> None:
    with (
        ResultStore.open(postgres.new_database(), create=True) as store,
        pytest.raises(UsageError, match="is on a server, which makes its own backups; pg_dump"),
    ):
        store.back_up(tmp_path / "copy.db")


def test_a_win_is_named_alike_whatever_the_collation(store: ResultStore, make: Make) -> None:
    cells = [make.cell(number, attack=attack) for number, attack in enumerate(("a", "B", "Ä"))]
    store.add_run(make.run(), cells)
    for cell in cells:
        store.add_shard(cell.key, make.shard_of(make.drawn(0, 1, 1, 0)))
    assert [win.attack for win in store.lowest_wins("5" * 64, "linf")] == ["B"]


SECRET_URLS = (
    "postgresql://user:secret@127.0.0.1:1/x",
    "postgresql+psycopg://user@127.0.0.1:1/x?password=secret",
    "mysql://user:secret@host/x",
    "postgresql://user:secret@host:port/x",
)


@pytest.mark.parametrize("url", SECRET_URLS)
def test_a_password_is_in_no_message(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        ResultStore.check(url)
    assert "secret" not in f"{caught.value} {caught.value!r}"
    if url.startswith("postgresql") and ":port" not in url:
        assert "secret" not in f"{Location.parse(url)} {Location.parse(url)!r}"


def test_a_server_without_its_driver_is_refused_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError) as caught:
        ResultStore.check("postgresql://user@host/x")
    assert caught.value.hint == 'pip install "robench[postgres]"'
    assert "the driver for PostgreSQL is not installed" in caught.value.message
