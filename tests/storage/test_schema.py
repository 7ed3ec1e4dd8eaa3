from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from robench.errors import StoreError
from robench.storage import connection, schema
from robench.storage.models import METADATA
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection

    from tests.storage.conftest import Child, Make


def definitions(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as database:
        query = (
            "SELECT name, sql FROM sqlite_master "
            "WHERE type IN ('table', 'index') AND sql IS NOT NULL AND name <> 'alembic_version'"
        )
        return {name: "".join(sorted(sql.replace(",", "").split())) for name, sql in database.execute(query)}


def test_migrations_make_the_tables_that_the_models_describe(tmp_path: Path) -> None:
    ResultStore.open(str(tmp_path / "migrated.db"), create=True).close()
    engine = create_engine(f"sqlite:///{tmp_path}/described.db")
    METADATA.create_all(engine)
    engine.dispose()
    assert definitions(tmp_path / "migrated.db") == definitions(tmp_path / "described.db")


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    scripts = ScriptDirectory(str(schema.MIGRATIONS)).walk_revisions()
    assert tuple(script.revision for script in scripts)[::-1] == schema.REVISIONS


def test_the_models_compile_for_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    text = "\n".join(str(CreateTable(table).compile(dialect=dialect)) for table in METADATA.sorted_tables)
    assert "DOUBLE PRECISION" in text
    assert "BIGINT" in text
    assert "ROWID" not in text


def test_opening_a_current_store_does_not_import_alembic(path: Path, child: Callable[[], Child]) -> None:
    assert child().ask("open", str(path)) == "ok alembic"
    assert child().ask("open", str(path)) == "ok"


def test_an_interrupted_creation_leaves_nothing_and_is_made_up_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate = schema.migrate

    def interrupted(connection_: Connection) -> None:
        migrate(connection_)
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "migrate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ResultStore.open(str(path), create=True)
    assert definitions(path) == {}
    monkeypatch.undo()
    ResultStore.open(str(path), create=True).close()
    tables = {"runs", "cells", "run_cells", "shards", "outcomes", "findings", "cards", "seals", "claims"}
    assert set(definitions(path)) == tables | {"ix_shards_cell_id"}


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 9), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_wal_is_used_only_on_a_library_without_the_reset_bug(version: tuple[int, int, int], *, safe: bool) -> None:
    assert connection.wal_is_safe(version) is safe


def test_a_new_store_says_what_it_is(store: ResultStore, path: Path, make: Make) -> None:
    store.add_run(make.run(), [make.cell()])
    store.add_shard(make.cell().key, make.shard(range(3)))
    info = store.describe()
    assert (info.location, info.dialect, info.schema_revision) == (str(path), "sqlite", schema.REVISIONS[-1])
    assert info.sqlite_version == sqlite3.sqlite_version
    assert info.journal_mode == ("wal" if connection.wal_is_safe(sqlite3.sqlite_version_info) else "delete")
    assert (info.size_bytes, info.runs, info.outcomes) == (path.stat().st_size, 1, 3)


@pytest.mark.usefixtures("path")
def test_every_connection_syncs_fully_and_holds_foreign_keys(store: ResultStore) -> None:
    with connection.reading(store._engine) as opened:
        full = 2
        assert opened.exec_driver_sql("PRAGMA synchronous").scalar_one() == full
        assert opened.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        assert opened.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 30_000


def test_a_safe_library_uses_wal_and_an_unsafe_one_leaves_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "wal_is_safe", lambda _version: True)
    with ResultStore.open(str(path), create=True) as store:
        assert store.describe().journal_mode == "wal"
    monkeypatch.setattr(connection, "wal_is_safe", lambda _version: False)
    with ResultStore.open(str(path), create=False) as reader:
        assert reader.describe().journal_mode == "wal"
    with ResultStore.open(str(path), create=True) as writer:
        assert writer.describe().journal_mode == "delete"


def test_an_unsafe_library_refuses_a_wal_store_in_use(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(connection, "wal_is_safe", lambda _version: True)
    with ResultStore.open(str(path), create=True) as store:
        store.describe()
        monkeypatch.setattr(connection, "wal_is_safe", lambda _version: False)
        with pytest.raises(StoreError, match="another process kept it locked"):
            ResultStore.open(str(path), create=True)
