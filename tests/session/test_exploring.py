from __future__ import annotations

import asyncio
import hashlib
import socket
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from robench.api.records import Run
from robench.errors import StoreError, UsageError
from robench.session import exploring
from robench.storage.guide import QUESTIONS, TABLES
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path


def make_run(id_: str) -> Run:
    return Run(
        id=id_,
        command="robench run",
        created="2026-01-02T03:04:05+00:00",
        status="running",
        dataset="mnist",
        classifier="a",
        profile="quick",
        images=5,
        seed=0,
        details="{}",
    )


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A store with one run, in a place whose name is no plain address."""
    path = tmp_path / "50 % of #1?.db"
    with ResultStore.open(str(path), create=True) as store:
        store.add_run(make_run("0123456789ab"), [])
    return path


@pytest.fixture
def datasette(db: Path) -> Iterator[Any]:
    pytest.importorskip("datasette", reason='Datasette is not installed: `pip install "robench[explore]"`')
    built = exploring.build_datasette(str(db))
    yield built
    built.executor.shutdown()
    built.get_database("robench").close()


def wait_for(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run it in a thread of its own: the browser of other tests keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def get(datasette: Any, address: str) -> Any:
    return wait_for(datasette.client.get(address))


def test_tables_columns_and_queries_are_explained(datasette: Any) -> None:
    page = get(datasette, "/robench/cells").text
    assert TABLES["cells"].meaning in page
    assert "scores above it are rejected" in page
    index = get(datasette, "/robench").text
    assert all(question.title in index for question in QUESTIONS.values())
    assert [one["name"] for one in get(datasette, "/-/databases.json").json()] == ["robench"]
    assert "alembic_version" not in [
        table["name"] for table in get(datasette, "/robench.json").json()["tables"] if not table["hidden"]
    ]


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_query_has_an_address(datasette: Any, name: str) -> None:
    answer = get(datasette, f"/robench/{name}.json")

    assert answer.status_code == 200
    assert answer.json()["ok"] is True
    assert get(datasette, f"/robench/{name}?run=0123").status_code == 200


def test_what_a_run_stores_meanwhile_is_seen(datasette: Any, db: Path) -> None:
    assert get(datasette, "/robench/runs.json?_shape=array").json()[0]["id"] == "0123456789ab"

    with ResultStore.open(str(db), create=True) as store:
        store.add_run(make_run("ba9876543210"), [])

    assert len(get(datasette, "/robench/runs.json?_shape=array").json()) == 2


def test_nothing_can_be_written_whoever_asks(datasette: Any, db: Path) -> None:
    before = hashlib.sha256(db.read_bytes()).hexdigest()

    assert get(datasette, "/robench.json?sql=DELETE+FROM+runs").status_code == 400
    assert get(datasette, "/robench.json?sql=SELECT+1").status_code == 200
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        wait_for(datasette.get_database("robench").execute_write("DELETE FROM runs"))
    assert get(datasette, "/robench.db").status_code in {403, 404}

    assert hashlib.sha256(db.read_bytes()).hexdigest() == before


def test_without_datasette_the_message_says_what_to_install(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasette.app", None)

    with pytest.raises(UsageError, match=r'pip install "robench\[explore\]"'):
        exploring.build_datasette(str(db))


def test_a_server_is_refused_without_its_password_and_with_a_way_out() -> None:
    with pytest.raises(UsageError, match=r"robench db merge URL --db copy\.db") as refused:
        exploring.build_datasette("postgresql://me:s3cret@host/db")
    assert "robench db export" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_store_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no result store"):
        exploring.build_datasette(str(tmp_path / "none.db"))
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("kind", ["taken", "none"])
def test_a_port_that_cannot_be_used_is_named(datasette: Any, db: Path, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1] if kind == "taken" else 70_000

        with pytest.raises(
            UsageError, match=rf"--port {port}: (Address already in use|there is no such port); choose another"
        ):
            exploring.explore(str(db), port, lambda _: None)
