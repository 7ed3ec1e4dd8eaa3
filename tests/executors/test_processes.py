"""Runs whose work is done by processes of this machine: the same outcomes, whatever becomes of the workers."""

from __future__ import annotations

import dataclasses
import os
import pickle
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from robench.engine.digests import tensors_digest
from robench.errors import RobenchError, UsageError
from robench.executors.spawned import SpawnedCrew
from robench.storage.store import ResultStore
from tests.executors.sharing import EVERYTHING, report, stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import ToyLab
    from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.slow


def test_processes_find_the_same_outcomes_bit_for_bit(lab: ToyLab) -> None:
    alone = lab.run(**EVERYTHING, db=str(lab.folder / "alone.db"))
    together = lab.run(**EVERYTHING, executor="processes", workers=2)
    assert together.complete
    assert stored(lab, together) == stored(lab, alone, "alone.db")
    assert report(together) == report(alone)


@pytest.mark.postgres
def test_eight_workers_fill_a_store_on_a_server(lab: ToyLab, postgres: PostgresServer) -> None:
    """Eight where there are cores enough for them; four a core are allowed."""
    changes: dict[str, Any] = {"attacks": ("fgsm", "pgd"), "batch_size": 4}
    alone = lab.run(**changes, db=str(lab.folder / "alone.db"))
    url = postgres.new_database()
    workers = min(8, 4 * len(os.sched_getaffinity(0)))
    together = lab.run(**changes, db=url, executor="processes", workers=workers)
    assert together.complete
    assert report(together) == report(alone)
    with ResultStore.open(url, create=False) as store:
        assert store.verify().faults == ()


def test_kept_examples_are_the_same(lab: ToyLab) -> None:
    changes: dict[str, Any] = {
        "defenses": ("toy-choose",),
        "attacks": ("fgsm", "adaptive"),
        "batch_size": 16,
        "keep_examples": True,
    }
    lab.run(**changes, db=str(lab.folder / "alone.db"))
    lab.run(**changes, executor="processes", workers=1)
    alone, together = kept(lab.folder / "alone.examples"), kept(lab.folder / "toys.examples")
    assert alone
    assert together == alone


def kept(folder: Path) -> dict[str, dict[str, str]]:
    """Return the digests of all tensors that are kept, by file and name."""
    return {
        path.relative_to(folder).as_posix(): {
            name: tensors_digest({name: value}) for name, value in load_file(path).items()
        }
        for path in folder.rglob("*.safetensors")
    }


class Killer:
    """Kills workers while they are at a task that nobody has tried before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kills: int) -> None:
        self.kills, self.done = kills, 0
        give = SpawnedCrew.give

        def give_and_kill(crew: SpawnedCrew, worker: int, task: object, tried: int) -> None:
            give(crew, worker, task, tried)
            if self.done < self.kills and tried == 0 and getattr(task, "attack", "") == "broken-slow":
                time.sleep(0.15)  # it is asleep in its batch, which takes 0.4 s
                os.kill(crew._hands[worker].process.pid, signal.SIGKILL)
                self.done += 1

        monkeypatch.setattr(SpawnedCrew, "give", give_and_kill)


def test_ten_killed_workers_lose_and_double_nothing(lab: ToyLab, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: dict[str, Any] = {"defenses": ("none", "toy-noise"), "attacks": ("broken-slow",), "batch_size": 10}
    alone = lab.run(**changes, db=str(lab.folder / "alone.db"))
    killer = Killer(monkeypatch, 10)
    together = lab.run(**changes, executor="processes", workers=2)
    assert killer.done == 10
    assert together.complete
    assert stored(lab, together) == stored(lab, alone, "alone.db")
    assert report(together) == report(alone)
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        assert store.verify().faults == ()


def test_a_task_that_kills_its_workers_costs_its_own_cells(lab: ToyLab) -> None:
    changes: dict[str, Any] = {
        "defenses": ("none",),
        "attacks": ("broken-deadly", "fgsm"),
        "batch_size": 15,
        "epsilons": "0.3",
    }
    summary = lab.run(**changes, executor="processes", workers=1)
    assert {row.attack: row.n for row in summary.results} == {"broken-deadly": 45, "fgsm": 60}
    (failure,) = summary.failures
    assert failure.attack == "broken-deadly"
    assert failure.reason == "set aside: 3 workers died of it, the last one by SIGKILL"
    assert summary.run.status == "failed"
    outcomes = {key[1]: found for key, found in stored(lab, summary).items()}
    assert [item.position for item in outcomes["broken-deadly"]] == [*range(45)]  # the brightest is in the last batch
    assert len(outcomes["fgsm"]) == 60


def test_an_ensemble_goes_on_without_an_attack_that_fails(lab: ToyLab) -> None:
    changes: dict[str, Any] = {"defenses": ("broken-gradient",), "attacks": ("adaptive",), "batch_size": 16}
    alone = lab.run(**changes, db=str(lab.folder / "alone.db"))
    together = lab.run(**changes, executor="processes", workers=2)
    assert alone.failures
    assert {(row.defense, row.attack) for row in together.failures} == {(r.defense, r.attack) for r in alone.failures}
    assert stored(lab, together) == stored(lab, alone, "alone.db")


def test_a_worker_trains_nothing(lab: ToyLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brief = SpawnedCrew.brief

    def forget(crew: SpawnedCrew, factory: bytes, supplies: Callable[[], bytes]) -> None:
        blueprint = pickle.loads(factory)
        elsewhere = dataclasses.replace(blueprint.request, cache_dir=tmp_path / "empty")
        brief(crew, pickle.dumps(dataclasses.replace(blueprint, request=elsewhere)), supplies)

    monkeypatch.setattr(SpawnedCrew, "brief", forget)
    with pytest.raises(RobenchError, match="holds no weights of toy-linear"):
        lab.run(executor="processes", workers=1)
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        (run,) = store.runs()
    assert run.status == "interrupted"


def test_more_gpus_than_there_are_are_refused_before_anything_is_trained(
    lab: ToyLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "made up")
    with pytest.raises(UsageError, match="--workers 3: each needs a GPU, and this machine shows 2; ask for at most 2"):
        lab.run(executor="processes", workers=3, device="cuda")
    with pytest.raises(UsageError, match="--device cuda:1: --executor processes gives each worker a GPU of its own"):
        lab.run(executor="processes", device="cuda:1")
    assert not (lab.folder / "toys.db").exists()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"executor": "procesess"}, "--executor: there is no 'procesess'; did you mean \"processes\"?"),
        ({"workers": 2}, "--workers: --executor local has none"),
        ({"executor": "processes", "workers": 0}, "--workers: must be at least 1, not 0"),
        ({"executor": "processes", "ray_address": "auto"}, "--ray-address: only --executor ray goes to a cluster"),
        ({"shard": "9/8"}, "--shard: '9/8' is no part; write 3/8 for the third of eight"),
    ],
)
def test_flags_that_do_not_fit_are_refused(lab: ToyLab, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        lab.run(**changes)
    assert complaint in str(caught.value)
