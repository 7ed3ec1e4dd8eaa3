"""Single bits flipped at random places of what is kept on the disk."""

from __future__ import annotations

import gzip
import random
import shutil
import sqlite3
import struct
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from robench.errors import RobenchError, StoreError
from robench.storage.store import ResultStore
from robench_plugins.datasets import _idx
from robench_plugins.datasets.mnist import MNIST, SHIPPED
from tests.stress.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.stress.nursery import Nursery

_TEXT = b"wrong"


def flip_bytes(nursery: Nursery, folder: Path, count: int) -> Trial:
    """Flip a bit in checkpoints, data files and stored shards, ``count`` times each."""
    trial = Trial(name=f"flipped bit in a checkpoint, a data file and a stored shard, N = {count} each", demand="")
    trial.demand = f"{3 * count}/{3 * count} detected"
    places = random.Random(3)
    nursery.run("train", str(folder / "cache"))
    (said,) = nursery.run("flip_checkpoints", str(folder / "cache"), count)
    found = {"checkpoint": int(said), "data file": _data_files(folder, count, places)}
    found["stored shard"] = _shards(nursery, folder, count, places)
    for what, number in found.items():
        trial.expect(number == count, f"{count - number} of {count} flips in a {what} not detected")
    trial.found = f"{sum(found.values())}/{3 * count} detected"
    trial.facts = found
    return trial


def flip(path: Path, places: random.Random, first: int, behind: int) -> None:
    """Flip one bit of a file between two offsets, the second excluded."""
    with path.open("r+b") as file:
        offset = places.randrange(first, behind)
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1 << places.randrange(8)]))


def _detects(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except RobenchError:
        return True
    return False


def _data_files(folder: Path, count: int, places: random.Random) -> int:
    """Half of the flips in a raw file, half in the compressed body of one that ships with robench."""
    file = MNIST.test.labels
    raw, packed = folder / file.name, folder / f"{file.name}.gz"
    detected = 0
    for number in range(count):
        if number % 2:
            shutil.copyfile(SHIPPED / packed.name, packed)
            # What comes before is the name and time of the compressed file, of which the labels know nothing.
            flip(packed, places, 64, packed.stat().st_size)
        else:
            raw.write_bytes(gzip.decompress((SHIPPED / packed.name).read_bytes()))
            flip(raw, places, 0, raw.stat().st_size)
        path = packed if number % 2 else raw
        detected += _detects(partial(_idx.read, path, file))
    return detected


def _shards(nursery: Nursery, folder: Path, count: int, places: random.Random) -> int:
    """Flip bits of results where they lie in an SQLite file, and let the store verify itself."""
    whole, path = folder / "shards.db", folder / "flipped.db"
    nursery.run("write", str(whole), 1, 20)
    with closing(sqlite3.connect(whole)) as database:
        (score,) = database.execute("SELECT DISTINCT score FROM outcomes").fetchone()
    # A result in the file: outcome as text, then score as a big-endian float.
    result = _TEXT + struct.pack(">d", score)
    content, offsets, start = whole.read_bytes(), [], 0
    while (start := content.find(result, start)) >= 0:
        offsets.append(start)
        start += len(result)
    detected = 0
    for _ in range(count):
        shutil.copyfile(whole, path)
        offset = places.choice(offsets)
        flip(path, places, offset, offset + len(result))
        # A bit that makes a text unreadable is refused, any other is a fault that is listed.
        detected += _detects(partial(_verify, path))
    return detected


def _verify(path: Path) -> None:
    with ResultStore.open(str(path), create=False) as store:
        faults = store.verify().faults
    if faults:
        raise StoreError(faults[0].what)
