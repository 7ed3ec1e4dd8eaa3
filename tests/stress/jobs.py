"""What children of the nursery do. Each function is told where to say what it has achieved: its acknowledgement.

Everything is imported here, before the first fork.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import alembic.command
import torch
from alembic.config import Config as _Preloaded  # noqa: F401

import robench.session.evaluation
from robench.api import Network, Recipe
from robench.api.records import Outcome
from robench.config.request import Overrides
from robench.engine import checkpoint, training, weights
from robench.engine.data import LoadedSplit
from robench.engine.digests import module_digest, split_digest
from robench.engine.progress import Silent
from robench.engine.weights import WeightCache
from robench.errors import RobenchError
from robench.report.formats import render
from robench.session import Session, savings
from robench.storage.store import ResultStore
from tests.storage.conftest import Make
from tests.stress.flips import flip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from robench.api.records import Shard
    from robench.engine.progress import Task

    Say = Callable[[str], object]

SHARD = 10
EPOCHS = 30

torch.set_num_threads(1)


def evaluate(say: Say, folder: str, db: str) -> None:
    """Evaluate toys, acknowledging every commit, and say the report as JSON."""
    commit = ResultStore.add_shards
    savings._LONGEST_PAUSE = 0.0  # as many commits as there are batches

    def acknowledge(store: ResultStore, shards: Sequence[tuple[str, Shard]]) -> None:
        commit(store, shards)
        for key, shard in shards:
            say(f"stored {key} {','.join(str(outcome.position) for outcome in shard.outcomes)}")

    ResultStore.add_shards = acknowledge  # type: ignore[method-assign, assignment]
    session = Session(environ=dict(os.environ), cwd=Path(folder))
    overrides = Overrides(
        dataset="toy-bars",
        classifier="toy-linear",
        defenses=("none", "toy-detect", "toy-noise"),
        attacks=("fgsm", "toy-corner"),
        epsilons="0.1,0.3",
        images=60,
        device="cpu",
        batch_size=16,
        db=db,
    )
    try:
        say("report " + json.dumps(json.loads(render(session.run(session.resolve(overrides), "stress"), "json"))))
    except RobenchError as error:
        say(f"{type(error).__name__} {error.exit_code} {error}")


class Notes(Silent):
    """Passes on what a training says."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def note(self, text: str) -> None:
        self._say(text)

    def task(self, title: str, total: int, unit: str) -> Notes:
        return self

    def __enter__(self) -> Task:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def update(self, done: int, detail: str = "") -> None:
        pass


def train(say: Say, cache: str) -> None:
    """Train a small network with many checkpoints and say its digest and history as JSON."""
    training._SECONDS_BETWEEN_CHECKPOINTS, training._CHECKPOINT_COST_SHARE = 0.02, 1.0
    try:
        trained = WeightCache(Path(cache)).obtain(
            _network(),
            _bars(),
            _bars(),
            dataset="bars",
            seed=0,
            device=torch.device("cpu"),
            classifier=None,
            origin={"plugin": "stress", "code": ""},
            progress=Notes(say),
        )
    except RobenchError as error:
        say(f"{type(error).__name__} {error.exit_code} {error}")
        return
    found = {"digest": module_digest(trained.module), "history": trained.manifest["history"]}
    say("trained " + json.dumps({**found, "folder": str(trained.folder)}))


def flip_checkpoints(say: Say, cache: str, count: int) -> None:
    """Flip bits in the checkpoint of a training, in weights and in their manifest; say how many were detected."""
    places, detected = random.Random(4), 0
    (folder,) = Path(cache).glob("weights/bars/*")
    module = _network().build()
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.rand(4, 1, 8, 8)).sum().backward()
    optimizer.step()
    state = checkpoint.TrainingState(step=7, sums={"loss": 1.5}, history=[{"epoch": 1, "loss": 0.25}], seconds=3.5)
    saved = folder.parent.parent / "flipped.safetensors"
    checkpoint.save_checkpoint(saved, module, optimizer, state)

    def resume() -> object:
        return checkpoint.load_checkpoint(saved, module, optimizer)

    def load() -> object:
        return weights._load(folder, _network(), json.loads(manifest)["key"], torch.device("cpu"))

    manifest = (folder / weights.MANIFEST).read_text(encoding="utf-8")
    targets = [(saved, resume), (folder / weights.WEIGHTS, load), (folder / weights.MANIFEST, load)]
    for number in range(count):
        path, use = targets[number % len(targets)]
        content = path.read_bytes()
        use()
        flip(path, places, 0, len(content))
        try:
            use()
        except RobenchError:
            detected += 1
        path.write_bytes(content)
    say(str(detected))


def _network() -> Network:
    def build() -> nn.Module:
        return torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(64, 64), torch.nn.Dropout(0.1), torch.nn.Linear(64, 4)
        )

    def loss(module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"loss": torch.nn.functional.cross_entropy(module(images).float(), labels)}

    recipe = Recipe(epochs=EPOCHS, batch_size=16, learning_rate=0.01)
    return Network(name="small", build=build, loss=loss, recipe=recipe, architecture={})


def _bars() -> LoadedSplit:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(512, 1, 8, 8, generator=generator).numpy()
    labels = torch.randint(0, 4, (512,), generator=generator).numpy()
    split = LoadedSplit(images=images, labels=labels, digest="")
    return LoadedSplit(images=images, labels=labels, digest=split_digest(split))


def write(  # noqa: PLR0917 (arguments come as a list)
    say: Say, location: str, number: int, shards: int, limit: int = 0, size: int = SHARD
) -> None:
    """Store so many shards of one cell that are missing, acknowledging each; stop where a file reaches a limit."""
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    images, cell = shards * size, Make.cell(number)
    try:
        with ResultStore.open(location, create=True) as store:
            run = Make.run(id_=f"{number:012x}", images=images)
            store.add_run(run, [cell])
            missing = store.missing(cell.key, images)
            for first in range(0, len(missing), size):
                positions = missing[first : first + size]
                store.add_shard(cell.key, Make.shard(positions, Outcome.WRONG))
                say(f"stored {cell.key} {','.join(map(str, positions))}")
            store.set_status(run.id, "complete")
    except RobenchError as error:
        say(f"{type(error).__name__} {error.exit_code} {error}")
    else:
        say("done")


def open_store(say: Say, location: str, linger: float = 0.0) -> None:
    """Open a store, making or upgrading it, and stay for some seconds."""
    say("begun")
    try:
        ResultStore.open(location, create=True).close()
        time.sleep(linger)
    except RobenchError as error:
        say(f"{type(error).__name__} {error.exit_code} {error}")
    else:
        say("done")


_PRELOADED = (alembic.command, robench.session.evaluation)
