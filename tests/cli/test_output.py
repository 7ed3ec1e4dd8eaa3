from __future__ import annotations

import os
import sqlite3
import threading
import zipfile
from typing import TYPE_CHECKING

import pytest

from robench.cli.output import check_output, write_output
from robench.errors import RobenchError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_link_is_followed_and_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    write_output(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_pipe_gets_what_is_written_and_stays_one(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_output(pipe, b"text")
    reader.join(10)
    assert got == [b"text"]
    assert pipe.is_fifo()


def test_a_device_that_takes_nothing_is_an_error_and_stays_a_device(tmp_path: Path) -> None:
    link = tmp_path / "full"
    link.symlink_to("/dev/full")
    with pytest.raises(RobenchError, match="No space left"):
        write_output(link, b"text")
    assert link.is_char_device()


def test_stores_and_archives_are_not_written_over(tmp_path: Path) -> None:
    store, archive, link = tmp_path / "a.db", tmp_path / "a.zip", tmp_path / "link"
    with sqlite3.connect(store) as database:
        database.execute("CREATE TABLE runs (id)")
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("x", "y")
    link.symlink_to(store)
    for path in (store, archive, link):
        with pytest.raises(UsageError, match="is a database or an archive"):
            check_output(path)


def test_a_dash_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no file"):
        check_output(tmp_path / "-")
