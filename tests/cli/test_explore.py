"""``robench explore`` as a user starts and ends it."""

from __future__ import annotations

import hashlib
import json
import signal
import time
import urllib.request
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import pytest

from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Program


@pytest.fixture
def db(program: Program) -> Path:
    pytest.importorskip("datasette", reason='Datasette is not installed: `pip install "robench[explore]"`')
    path = program.folder / "robench.db"
    ResultStore.open(str(path), create=True).close()
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_store_is_shown_on_loopback_until_it_is_told_to_stop(
    program: Program, db: Path, number: signal.Signals
) -> None:
    before = hashlib.sha256(db.read_bytes()).hexdigest()

    with program.start("explore", "--no-browser") as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        assert process.stdout.readline() == "read-only, for this machine only; Ctrl-C ends it\n"
        with urllib.request.urlopen(f"{address}/robust_accuracy.json", timeout=60) as answer:
            assert json.load(answer)["rows"] == []
        stranger = urllib.request.Request(address, headers={"Host": "stranger.example"})
        with pytest.raises(HTTPError, match="403"):
            urllib.request.urlopen(stranger, timeout=60)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err) == (0, "", "")
    assert hashlib.sha256(db.read_bytes()).hexdigest() == before
    assert sorted(path.name for path in db.parent.glob("robench.db*")) == ["robench.db", "robench.db.lock"]


def test_the_browser_is_opened_at_the_address(program: Program, db: Path) -> None:
    opened = program.folder / "opened"
    browser = program.folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)

    with program.start("explore", BROWSER=str(browser)) as process:
        assert process.stdout is not None
        address = process.stdout.readline()
        deadline = time.monotonic() + 60
        while not opened.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (0, "")
    assert opened.read_text() == address


def test_a_server_is_refused_with_a_way_out(program: Program) -> None:
    refused = program("explore", "--db", "postgresql://me:s3cret@host/db")

    assert refused.returncode == 2
    assert "robench db merge" in refused.stderr
    assert "s3cret" not in refused.stderr
