"""What cannot be a store is refused with one line that names it and the mend, and nothing is written."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import pytest
from filelock import FileLock

from robench.errors import StoreError
from robench.storage import connection, schema
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.storage.conftest import Child, Make


def refusals(target: str) -> list[str]:
    """Messages of check, of opening to write and of opening to read."""
    said = []
    for attempt in (
        lambda: ResultStore.check(target),
        lambda: ResultStore.open(target, create=True),
        lambda: ResultStore.open(target, create=False),
    ):
        with pytest.raises(StoreError) as caught:
            attempt()
        assert caught.value.hint
        said.append(str(caught.value))
    return said


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def execute(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)


def test_a_store_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        ResultStore.open(str(path), create=False)
    assert caught.value.message == f"no result store at {path}"
    assert caught.value.hint == "robench run creates it, or name another file with --db"
    assert caught.value.exit_code == 2
    path.touch()
    with pytest.raises(StoreError, match="no result store at"):
        ResultStore.open(str(path), create=False)


def test_checking_creates_nothing(path: Path) -> None:
    ResultStore.check(str(path))
    assert contents(path.parent) == {}
    ResultStore.open(str(path), create=True).close()
    before = contents(path.parent)
    ResultStore.check(str(path))
    assert contents(path.parent) == before


def test_a_store_is_opened_by_url_too(path: Path) -> None:
    with ResultStore.open(f"sqlite:///{path}", create=True) as store:
        assert store.describe().location == f"sqlite:///{path}"
    ResultStore.open(str(path), create=False).close()


def test_a_name_that_looks_like_a_uri_is_only_a_name(tmp_path: Path) -> None:
    path = tmp_path / "odd ?mode=memory#%41 ü.db"
    ResultStore.open(str(path), create=True).close()
    assert path.stat().st_size > 0


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ResultStore.open("~/robench.db", create=True).close()
    assert (tmp_path / "robench.db").exists()


def test_a_link_to_a_folder_elsewhere_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    ResultStore.open(str(tmp_path / "link.db"), create=True).close()
    assert (tmp_path / "real.db").stat().st_size > 0


def truncate(path: Path, size: int = 8192) -> None:
    ResultStore.open(str(path), create=True).close()
    os.truncate(path, size)


def revise(path: Path, revision: str | None) -> None:
    ResultStore.open(str(path), create=True).close()
    new = f"UPDATE alembic_version SET version_num = '{revision}'" if revision else "DELETE FROM alembic_version"
    execute(path, new)


class Fault(NamedTuple):
    make: Callable[[Path], object]
    says: str


FAULTS = {
    "text": Fault(lambda path: path.write_text("accuracy,0.9\n" * 200), "is not a SQLite file"),
    "a few bytes": Fault(lambda path: path.write_bytes(b"SQLite"), "is not a SQLite file"),
    "truncated": Fault(truncate, "is damaged or truncated"),
    "cut inside the first page": Fault(lambda path: truncate(path, 700), "is damaged or truncated"),
    "a directory": Fault(lambda path: path.mkdir(), "is a directory"),
    "a device": Fault(lambda path: path.symlink_to("/dev/full"), "is not a regular file"),
    "another program's": Fault(
        lambda path: execute(path, "CREATE TABLE notes (x); CREATE TABLE runs (id)"),
        "is a database of another program (tables: notes, runs)",
    ),
    "another program's that uses Alembic too": Fault(
        lambda path: execute(path, "CREATE TABLE alembic_version (version_num); CREATE TABLE runs (id)"),
        "is a database of another program",
    ),
    "newer": Fault(
        lambda path: revise(path, "0042"),
        f"was written by a newer robench (schema 0042; this one knows up to {schema.REVISIONS[-1]})",
    ),
    "without version": Fault(lambda path: revise(path, None), "was written by a newer robench (schema none;"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_is_no_store_is_refused_and_left_alone(path: Path, fault: Fault) -> None:
    fault.make(path)
    before = contents(path.parent)
    for message in refusals(str(path)):
        assert message.startswith(f"{path} {fault.says}")
    assert contents(path.parent) == before


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("", "'' is no path"),
        ("a\0b", "is no path"),
        ("://", "no valid database URL"),
        ("sqlite://", "an SQLite store is a file"),
        ("sqlite:///:memory:", "an SQLite store is a file"),
        ("sqlite:///x.db?mode=ro", "without options"),
        ("mysql://root:secret@host/x", "mysql://root:***@host/x: a result store is a SQLite file or"),
        ("postgresql+nodriver://host/x", "a result store is a SQLite file or a PostgreSQL database"),
        ("/proc/robench/x.db", "there is no folder /proc/robench"),
        ("/" + "x" * 300, "File name too long"),
    ],
)
def test_a_location_that_cannot_be_is_refused(target: str, says: str) -> None:
    with pytest.raises(StoreError) as caught:
        ResultStore.check(target)
    assert says in str(caught.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"there is no folder {tmp_path}/missing; create the folder"):
        ResultStore.open(str(tmp_path / "missing" / "robench.db"), create=True)


def test_a_folder_where_nothing_can_be_created_is_refused_on_opening() -> None:
    # Root may write everywhere by permission, but nobody can create a file here.
    with pytest.raises(StoreError, match=r"/proc/robench\.db: "):
        ResultStore.open("/proc/robench.db", create=True)


def test_a_read_only_folder_is_refused(
    open_folder: Path, ordinary_user: Callable[[], AbstractContextManager[None]]
) -> None:
    open_folder.chmod(0o555)
    with ordinary_user():
        for attempt in (ResultStore.check, lambda target: ResultStore.open(target, create=True)):
            with pytest.raises(StoreError, match=f"{open_folder} may not be written; change its permissions"):
                attempt(str(open_folder / "robench.db"))


def test_a_read_only_store_can_be_read_but_not_written(
    open_folder: Path, make: Make, ordinary_user: Callable[[], AbstractContextManager[None]]
) -> None:
    path = open_folder / "robench.db"
    with ResultStore.open(str(path), create=True) as store:
        store.add_run(make.run(), [make.cell()])
    path.chmod(0o444)
    open_folder.chmod(0o555)
    with ordinary_user():
        with ResultStore.open(str(path), create=False) as store:
            assert len(store.counts(make.run().id)) == 1
            with pytest.raises(StoreError, match="it may not be written"):
                store.set_status(make.run().id, "complete")
        with pytest.raises(StoreError, match="may not be written"):
            ResultStore.check(str(path))


def test_a_store_that_may_not_be_read_is_refused(
    open_folder: Path, ordinary_user: Callable[[], AbstractContextManager[None]]
) -> None:
    path = open_folder / "robench.db"
    ResultStore.open(str(path), create=True).close()
    path.chmod(0o000)
    with ordinary_user(), pytest.raises(StoreError, match="may not be read"):
        ResultStore.open(str(path), create=False)


def test_a_full_disk_is_found_before_the_work_begins(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(path.parent)
    monkeypatch.setattr("robench.storage.location.shutil.disk_usage", lambda _folder: usage._replace(free=4096))
    with pytest.raises(StoreError, match=r"the disk is full; free some space"):
        ResultStore.check(str(path))


def test_a_disk_that_fills_while_the_store_is_made_refuses_it(path: Path, child: Callable[[], Child]) -> None:
    process = child()
    process.ask("limit", 8192)
    said = process.ask("open", str(path))
    assert said.startswith(f"StoreError 2 {path}: the disk refused to read or write")
    assert child().ask("open", str(path)).startswith("ok")


def test_a_store_that_stays_locked_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ResultStore.open(str(path), create=True).close()
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for message in refusals(str(path)):
            assert message.startswith(f"{path}: another process kept it locked (database is locked)")


def test_a_lock_file_held_for_ever_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.05)
    with FileLock(f"{path}.lock"), pytest.raises(StoreError, match="another process has been creating or upgrading it"):
        ResultStore.open(str(path), create=True)
