"""A run has one owner: the store that was asked last to fill it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from robench.errors import IncompleteError
from robench.storage import connection
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.postgres_server import PostgresServer
    from tests.storage.conftest import Make


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "robench.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


def test_the_former_owner_can_write_nothing_more(place: str, make: Make) -> None:
    run, cell = make.run(), make.cell()
    with ResultStore.open(place, create=True) as former, ResultStore.open(place, create=True) as heir:
        former.add_run(run, [cell])
        former.add_shard(cell.key, make.shard([0]))
        heir.add_run(run, [cell])
        attempts: tuple[Callable[[], None], ...] = (
            lambda: former.add_shard(cell.key, make.shard([1])),
            lambda: former.set_status(run.id, "interrupted"),
            lambda: former.fail_cell(run.id, cell.key, "broken"),
            lambda: former.add_findings(run.id, "magnet", []),
            lambda: former.add_run(run, [cell]),
        )
        for attempt in attempts:
            with pytest.raises(
                IncompleteError, match=f"run {run.id} was taken over by process [0-9]+ on .*; what this"
            ):
                attempt()
        heir.add_run(run, [cell])  # again: still its own
        heir.add_shard(cell.key, make.shard([1]))
        heir.set_status(run.id, "complete")
        assert [found.n for found in heir.counts(run.id)] == [2]
        assert heir.find_run(None).status == "complete"


def test_other_runs_over_the_same_cells_are_no_take_over(place: str, make: Make) -> None:
    cell = make.cell()
    with ResultStore.open(place, create=True) as one, ResultStore.open(place, create=True) as other:
        one.add_run(make.run(id_="1" * 12), [cell])
        other.add_run(make.run(id_="2" * 12), [cell])
        for store in (one, other, one):
            store.add_shard(cell.key, make.shard(range(4)))
        assert one.describe().outcomes == 4


@pytest.mark.postgres
def test_a_server_s_lock_is_waited_for_no_longer_than_a_file_s(
    postgres: PostgresServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, run, cell = postgres.new_database(), make.run(), make.cell()
    monkeypatch.setattr(connection, "BUSY_SECONDS", 1.0)
    with ExitStack() as stack:
        stopped, store = (stack.enter_context(ResultStore.open(place, create=True)) for _ in range(2))
        store.add_run(run, [cell])
        with connection.writing(stopped._engine) as held:
            held.exec_driver_sql("SELECT * FROM claims FOR UPDATE")
            with pytest.raises(IncompleteError, match="lock timeout"):
                store.add_shard(cell.key, make.shard([0]))
        store.add_shard(cell.key, make.shard([0]))
