"""Disks without space and files that may not grow."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.stress.laboratory import acknowledged, altered_shards, stored
from tests.stress.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stress.nursery import Nursery

_SIZE = 200
"""Outcomes of a shard."""
_SHARDS = 400
_LIMIT = 300_000
_DISK = 3 * 2**20


def fill_disks(nursery: Nursery, folder: Path, count: int) -> Trial:
    """Fill a file size limit and, where one may be mounted, a small disk; mend it and go on. ``count`` times each."""
    trial = Trial(
        name=f"disk full: RLIMIT_FSIZE and a small file system, N = {count} each",
        demand="clear error, earlier shards intact, resume completes",
    )
    done = [0, 0, 0]
    for number in range(count):
        path = folder / f"limited-{number}.db"
        nursery.run("open_store", str(path))
        lines = nursery.run("write", str(path), number, 30, _LIMIT + 4096 * number, _SIZE)
        _check(trial, path, lines, "the disk refused to read or write")
        _resume(trial, path, nursery.run("write", str(path), number, 30, 0, _SIZE), lines)
        done[0] += 1
    if _may_mount(folder):
        for number in range(count):
            with _small_disk(folder / f"disk-{number}") as disk:
                _store_on(trial, nursery, disk, number)
                done[1] += 1
            with _small_disk(folder / f"cache-{number}") as disk:
                _train_on(trial, nursery, disk)
                done[2] += 1
        where = f"{done[1]} stores and {done[2]} trainings on a full disk of {_DISK // 2**20} MiB"
    else:
        where = "no small disk: mounting one takes root"
    trial.found = f"{done[0]} stores at a file size limit, {where}, refused and resumed"
    trial.facts = {"limits": done[0], "disks": done[1], "trainings": done[2]}
    return trial


def _check(trial: Trial, path: Path, lines: list[str], complaint: str) -> None:
    trial.expect(lines[-1].startswith("IncompleteError 3 ") and complaint in lines[-1], f"{path.name} said {lines[-1]}")
    promised = set(acknowledged(lines))
    trial.expect(bool(promised) and promised == stored(path), f"{path.name}: {len(promised - stored(path))} lost")
    trial.expect(altered_shards(path) == [], f"{path.name}: shards that are not as they were stored")


def _resume(trial: Trial, path: Path, lines: list[str], before: list[str]) -> None:
    trial.expect(lines[-1] == "done", f"it did not resume: {lines[-1]}")
    trial.expect(not set(acknowledged(lines)) & set(acknowledged(before)), f"{path.name}: outcomes stored twice")
    trial.expect(altered_shards(path) == [], f"{path.name}: shards that are not as they were stored")


def _store_on(trial: Trial, nursery: Nursery, disk: Path, number: int) -> None:
    path, ballast = disk / "robench.db", disk / "ballast"
    nursery.run("open_store", str(path))
    ballast.write_bytes(bytes(_DISK // 3))
    lines = nursery.run("write", str(path), number, _SHARDS, 0, _SIZE)
    _check(trial, path, lines, "disk")
    ballast.unlink()
    _resume(
        trial, path, nursery.run("write", str(path), number, len(acknowledged(lines)) // _SIZE + 20, 0, _SIZE), lines
    )


def _train_on(trial: Trial, nursery: Nursery, disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(_DISK - 100_000))
    (line,) = nursery.run("train", str(disk / "cache"))
    trial.expect("needs about" in line or "no space left" in line, f"it said {line}")
    ballast.unlink()
    lines = nursery.run("train", str(disk / "cache"))
    trial.expect("epoch" in json.dumps(lines[-1]), f"it did not resume: {lines[-1]}")


def _may_mount(folder: Path) -> bool:
    try:
        with _small_disk(folder / "trial"):
            return True
    except (subprocess.CalledProcessError, FileNotFoundError):
        return False


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "robench-stress", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)
