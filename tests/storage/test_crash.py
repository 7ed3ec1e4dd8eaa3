"""Killed, crowded and starved writers: what was acknowledged is there, whole, and the same command resumes."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from robench.errors import IncompleteError
from robench.storage import connection
from robench.storage.rows import shard_sha256
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.storage.conftest import Child, Make

SHARD = 10
PROCESSES = 4


def whole_shards(path: Path, cell: int) -> set[int]:
    """First positions of the stored shards of a cell, each complete and with the digest it was stored with."""
    key = f"{cell:064x}"
    with ResultStore.open(str(path), create=False) as store, closing(sqlite3.connect(path)) as database:
        outcomes = {outcome.position: outcome for outcome in store.outcomes(f"{cell:012x}", key)}
        digests = database.execute(
            "SELECT s.sha256 FROM shards s JOIN cells c ON c.id = s.cell_id WHERE c.key = ?", [key]
        ).fetchall()
    firsts = {position for position in outcomes if position % SHARD == 0}
    found = sorted(shard_sha256(key, [outcomes[p] for p in range(first, first + SHARD)]) for first in firsts)
    assert found == sorted(digest for (digest,) in digests)
    assert len(outcomes) == len(firsts) * SHARD
    return firsts


@pytest.mark.parametrize("wal", [False, True])
def test_kill_9_loses_nothing_acknowledged_and_leaves_nothing_partial(
    path: Path, child: Callable[[], Child], *, wal: bool
) -> None:
    pauses = random.Random(0)
    acknowledged: set[int] = set()
    for _ in range(3):
        process = child()
        if wal:
            process.ask("wal")
        acknowledged.add(int(process.ask("write", str(path), [1, 2, 3], 2000)))
        time.sleep(pauses.uniform(0.05, 0.3))
        acknowledged |= {int(line) for line in process.kill()}
        stored = whole_shards(path, 1)
        # The shards of a commit are in different cells, and there together or not at all.
        assert whole_shards(path, 2) == whole_shards(path, 3) == stored
        # One commit at most was made and not yet acknowledged when the process died, and so in every round.
        assert acknowledged <= stored
        assert len(stored - acknowledged) <= 1
        acknowledged = stored
    assert 3 <= len(acknowledged) < 2000


def test_a_killed_run_resumes_to_its_end(path: Path, child: Callable[[], Child]) -> None:
    first = child()
    first.ask("write", str(path), [1], 300)
    first.kill()
    before = len(whole_shards(path, 1))
    second = child()
    second.tell("write", str(path), [1], 300)
    lines = 0
    while second.line() != "done":
        lines += 1
    assert lines == 300 - before
    assert len(whole_shards(path, 1)) == 300


@pytest.mark.parametrize("wal", [False, True])
def test_processes_that_open_a_new_store_at_once_all_succeed(
    tmp_path: Path, child: Callable[[], Child], *, wal: bool
) -> None:
    children = [child() for _ in range(PROCESSES)]
    if wal:
        assert {process.ask("wal") for process in children} == {"ok"}
    answers = []
    for number in range(25):
        for process in children:
            process.tell("open", str(tmp_path / f"{number}.db"))
        answers += [process.line() for process in children]
    assert [answer for answer in answers if not answer.startswith("ok")] == []
    assert len(answers) == PROCESSES * 25


@pytest.mark.parametrize("wal", [False, True])
def test_writers_to_one_store_all_succeed(path: Path, child: Callable[[], Child], *, wal: bool) -> None:
    children = [child() for _ in range(PROCESSES)]
    if wal:
        assert {process.ask("wal") for process in children} == {"ok"}
    for number, process in enumerate(children):
        process.tell("write", str(path), [number], 50)
    for number, process in enumerate(children):
        assert [process.line() for _ in range(51)] == [*(str(first) for first in range(0, 500, SHARD)), "done"]
        assert len(whole_shards(path, number)) == 50


def test_writers_of_the_same_cells_do_not_double_them(path: Path, child: Callable[[], Child]) -> None:
    children = [child() for _ in range(2)]
    for process, cells, runs in zip(children, ([1, 2, 3], [3, 2, 1]), (0, 100), strict=True):
        process.tell("write", str(path), cells, 20, runs)
    for process in children:
        while process.line() != "done":
            pass
    assert [len(whole_shards(path, cell)) for cell in (1, 2, 3)] == [20, 20, 20]


def test_whoever_takes_a_run_over_shuts_out_the_former_owner_though_it_was_only_stopped(
    path: Path, child: Callable[[], Child]
) -> None:
    former = child()
    former.ask("write", str(path), [1], 20_000)
    while True:
        former.process.send_signal(signal.SIGSTOP)
        while Path(f"/proc/{former.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.01)
        with closing(sqlite3.connect(path, timeout=0.2)) as other, suppress(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")  # it was not stopped in the middle of a write, when nobody can
            break
        former.process.send_signal(signal.SIGCONT)
    before = whole_shards(path, 1)
    heir = child()
    heir.tell("write", str(path), [1], len(before) + 5)
    while (said := heir.line()) != "done":
        assert said.isdigit()
    former.process.send_signal(signal.SIGCONT)
    while (said := former.line()).isdigit():
        pass
    assert said.startswith(f"IncompleteError 3 run {1:012x} was taken over by process {heir.process.pid} on ")
    assert len(whole_shards(path, 1)) == len(before) + 5
    with ResultStore.open(str(path), create=False) as store:
        assert store.find_run(None).status == "complete"


def test_a_killed_run_is_shown_as_interrupted_and_a_live_one_as_running(path: Path, child: Callable[[], Child]) -> None:
    process = child()
    process.ask("write", str(path), [1], 20_000)
    with ResultStore.open(str(path), create=False) as store:
        assert store.find_run(None).status == "running"
        process.kill()
        assert store.find_run(None).status == "interrupted"


def test_a_file_size_limit_interrupts_the_run_and_lifting_it_resumes(path: Path, child: Callable[[], Child]) -> None:
    limited = child()
    assert limited.ask("open", str(path)).startswith("ok")
    limited.ask("limit", path.stat().st_size + 16_384)
    limited.tell("write", str(path), [1], 2000)
    acknowledged = set()
    while (said := limited.line()).isdigit():
        acknowledged.add(int(said))
    assert said.startswith(f"IncompleteError 3 {path}: the disk refused to read or write (disk I/O error); ")
    assert said.endswith("then repeat the command")
    assert acknowledged
    assert whole_shards(path, 1) == acknowledged
    free = child()
    free.tell("write", str(path), [1], len(acknowledged) + 5)
    assert [free.line() for _ in range(6)][-1] == "done"


@pytest.mark.usefixtures("path")
def test_a_full_disk_interrupts_the_run_and_keeps_what_is_stored(store: ResultStore, make: Make) -> None:
    run, cell = make.run(images=100_000), make.cell()
    store.add_run(run, [cell])
    store.add_shard(cell.key, make.shard(range(100)))
    with connection.reading(store._engine) as opened:
        pages = opened.exec_driver_sql("PRAGMA page_count").scalar_one()
        opened.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(IncompleteError, match=r"the disk is full .*; free some space, then repeat the command"):
        store.add_shard(cell.key, make.shard(range(100, 5_000)))
    assert store.counts(run.id)[0].n == 100


def test_a_lock_held_too_long_interrupts_the_run(path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.05)
    cell = make.cell()
    with (
        ResultStore.open(str(path), create=True) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        store.add_run(make.run(), [cell])
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IncompleteError) as caught:
            store.add_shard(cell.key, make.shard([0]))
        assert caught.value.exit_code == 3
        other.execute("ROLLBACK")
        store.add_shard(cell.key, make.shard([0]))
        assert store.missing(cell.key, 1) == ()
