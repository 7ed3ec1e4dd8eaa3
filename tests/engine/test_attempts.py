"""A process that was killed over a batch leaves a note, and the next attempt tries half as much."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from robench.engine.attempts import Attempts

if TYPE_CHECKING:
    from pathlib import Path

KILLED = """
import os, pathlib, signal, sys
from robench.engine.attempts import Attempts
with Attempts(pathlib.Path(sys.argv[1]), print).under_way("key", int(sys.argv[2])) as rows:
    print(rows, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(folder: Path, rows: int) -> str:
    """Let a process be killed in the middle of a batch, and return what it had said."""
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), str(rows)], capture_output=True, text=True, check=False
    )
    assert result.returncode == -signal.SIGKILL
    return result.stdout


def test_a_batch_is_halved_after_a_kill_down_to_one_image(tmp_path: Path) -> None:
    said = [killed(tmp_path, 5).splitlines() for _ in range(4)]
    assert [lines[-1] for lines in said] == ["5", "2", "1", "1"]
    assert said[1][0] == (
        "the last attempt ended without a word with 5 images under way, maybe for want of memory: trying 2"
    )


def test_what_fits_then_is_kept_to_by_this_process_and_forgotten_by_the_next(tmp_path: Path) -> None:
    killed(tmp_path, 8)
    told: list[str] = []
    attempts = Attempts(tmp_path, told.append)
    for _ in range(2):
        with attempts.under_way("key", 8) as rows:
            assert rows == 4
    assert len(told) == 1
    with Attempts(tmp_path, told.append).under_way("key", 8) as rows:
        assert rows == 8
    assert list(tmp_path.iterdir()) == []


def test_an_attempt_that_fails_with_a_word_leaves_no_note(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path, pytest.fail)
    with pytest.raises(KeyboardInterrupt), attempts.under_way("key", 8):
        raise KeyboardInterrupt
    with attempts.under_way("key", 8) as rows:
        assert rows == 8


def test_another_process_that_is_still_at_it_and_another_defense_do_not_count(tmp_path: Path) -> None:
    killed(tmp_path, 8)
    with Attempts(tmp_path, pytest.fail).under_way("other", 8) as rows:
        assert rows == 8
    with Attempts(tmp_path, lambda _: None).under_way("key", 8):
        (note,) = tmp_path.glob("key.*.json")
        alive = json.loads(note.read_text())
        note.rename(tmp_path / "key.1.json")
        with Attempts(tmp_path, pytest.fail).under_way("key", 8) as rows:
            assert rows == 8
        assert alive["rows"] == 4


def test_a_cache_that_cannot_be_written_and_a_damaged_note_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "key.1.json").write_text("{")
    with Attempts(tmp_path, pytest.fail).under_way("key", 8) as rows:
        assert rows == 8
    (tmp_path / "file").touch()
    with Attempts(tmp_path / "file" / "attempts", pytest.fail).under_way("key", 8) as rows:
        assert rows == 8
    assert {path.name for path in tmp_path.iterdir()} == {"file", "key.1.json"}
