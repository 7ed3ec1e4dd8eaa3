"""``robench db`` as a user types it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from robench.cli.context import command_line
from robench.session.wording import count_of

if TYPE_CHECKING:
    from tests.cli.conftest import Program


def test_a_store_is_verified_copied_sent_and_joined(program: Program) -> None:
    assert program(*program.toy_run).returncode == 0
    sound = program("db", "verify", "--weights")
    assert sound.returncode == 0, sound.stderr
    assert sound.stdout.startswith("nothing was altered: 1 run, 6 cells, ")
    assert program("db", "upgrade").stdout.startswith("nothing to do: the schema is ")
    assert program("db", "backup", "copy.db").stdout == "copy.db: 1 run, 240 outcomes, verified\n"
    assert program("db", "export", "a.zip").stdout.startswith("a.zip: 6 cells, 1 run, ")
    imported = program("db", "import", "a.zip", "--db", "there.db")
    assert imported.stdout == ("a.zip: 1 run, 6 cells and 240 outcomes are new; 0 outcomes were there already\n"), (
        imported.stderr
    )
    merged = program("db", "merge", "copy.db", "robench.db", "--db", "there.db")
    assert merged.stdout.count("0 outcomes are new; 240 outcomes were there already") == 2
    assert (
        program("report", "--db", "there.db", "--format", "json").stdout == program("report", "--format", "json").stdout
    )
    with closing(sqlite3.connect(program.folder / "there.db")) as database:
        database.execute("UPDATE outcomes SET score = 9 WHERE position = 7")
        database.commit()
    altered = program("db", "verify", "--db", "there.db", "--json")
    document = json.loads(altered.stdout)
    assert altered.returncode == 1
    assert document["sound"] is False
    assert {7} <= set(document["faults"][0]["positions"])
    table = program("db", "verify", "--db", "there.db")
    assert table.returncode == 1
    assert "outcomes differ from their digest" in table.stdout
    refused = program("db", "export", "b.zip", "--db", "there.db")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "robench db verify lists them" in refused.stderr
    assert not (program.folder / "b.zip").exists()


def test_a_truncated_store_cannot_be_verified_and_ends_as_the_manual_says(program: Program) -> None:
    path = program.folder / "robench.db"
    shutil.copy(Path(__file__).parents[1] / "storage/schema_0002.sqlite", path)
    program("db", "upgrade")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert program("db", "verify").returncode == 2
    manual = (Path(__file__).parents[2] / "docs/store.md").read_text(encoding="utf-8")
    assert "with 2 if the store cannot be read at all" in manual


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("postgresql://me:s3cr/et@host/db", "'postgresql://me:***@host/db'"),
        ("--db=postgresql+psycopg://me:s3cret@host/db", "'--db=postgresql+psycopg://me:***@host/db'"),
        ("postgresql://me@host/db?password=s3cret&x=1", "'postgresql://me@host/db?password=***&x=1'"),
        ("postgresql://me@host:5432/db", "postgresql://me@host:5432/db"),
    ],
)
def test_a_password_is_not_kept_with_the_command(monkeypatch: pytest.MonkeyPatch, typed: str, shown: str) -> None:
    monkeypatch.setattr("sys.argv", ["robench", "run", typed])
    assert command_line() == f"robench run {shown}"


def test_one_of_a_kind_is_singular() -> None:
    assert [count_of(number, "trained networks") for number in (0, 1, 1000)] == [
        "0 trained networks",
        "1 trained network",
        "1,000 trained networks",
    ]
