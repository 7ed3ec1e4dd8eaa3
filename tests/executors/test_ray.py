"""Runs whose work is done by actors of Ray: on a cluster that is started here, and on one that changes."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from robench.cli.stopping import Stopped
from robench.errors import RobenchError, UsageError
from robench.executors.ray_cluster import RayCrew, stoppable
from robench.storage.store import ResultStore
from tests.executors.sharing import EVERYTHING, needs_ray, report, stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import ToyLab

pytestmark = [pytest.mark.slow, needs_ray]

SLOW: dict[str, Any] = {"defenses": ("none", "toy-noise"), "attacks": ("broken-slow",), "batch_size": 10}
"""Twenty-four batches of 0.4 s."""


@pytest.fixture(autouse=True)
def _disconnected() -> Iterator[None]:
    """Leave no connection behind: with the cluster behind it, Ray ends the process of later tests as well."""
    yield
    import ray

    ray.shutdown()


def number_of(crew: RayCrew, worker: int) -> int:
    """Return the number of the process of a worker."""
    import ray

    return int(ray.get(crew._hands[worker].actor.__ray_call__.remote(lambda _: os.getpid())))


def test_ray_finds_the_same_outcomes_bit_for_bit(lab: ToyLab) -> None:
    alone = lab.run(**EVERYTHING, db=str(lab.folder / "alone.db"))
    together = lab.run(**EVERYTHING, executor="ray", workers=2)
    assert together.complete
    assert stored(lab, together) == stored(lab, alone, "alone.db")
    assert report(together) == report(alone)


def test_ten_killed_workers_lose_and_double_nothing(lab: ToyLab, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = lab.run(**SLOW, db=str(lab.folder / "alone.db"))
    kills: list[int] = []
    give = RayCrew.give

    def give_and_kill(crew: RayCrew, worker: int, task: object, tried: int) -> None:
        doomed = len(kills) < 10 and tried == 0 and getattr(task, "attack", "") == "broken-slow"
        number = number_of(crew, worker) if doomed else 0
        give(crew, worker, task, tried)
        if doomed:
            time.sleep(0.2)  # it is asleep in its batch, which takes 0.4 s
            os.kill(number, signal.SIGKILL)
            kills.append(number)

    monkeypatch.setattr(RayCrew, "give", give_and_kill)
    together = lab.run(**SLOW, executor="ray", workers=2)
    assert len(set(kills)) == 10
    assert together.complete
    assert stored(lab, together) == stored(lab, alone, "alone.db")
    assert report(together) == report(alone)
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        assert store.verify().faults == ()


def test_a_task_that_kills_its_workers_costs_its_own_cells(lab: ToyLab) -> None:
    changes: dict[str, Any] = {"defenses": ("none",), "attacks": ("broken-deadly", "fgsm"), "batch_size": 15}
    summary = lab.run(**changes, epsilons="0.3", executor="ray", workers=1)
    assert {row.attack: row.n for row in summary.results} == {"broken-deadly": 45, "fgsm": 60}
    (failure,) = summary.failures
    assert failure.attack == "broken-deadly"
    assert failure.reason.startswith("set aside: 3 workers died of it, the last one with ActorDiedError")


def test_what_can_never_be_had_is_refused_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    crew = RayCrew(None, 1, gpu=True, here=(1, 0))
    with pytest.raises(UsageError, match="1 workers need a GPU each, and the cluster has 0; use --device cpu"):
        crew.open()
    with pytest.raises(RobenchError, match=r"--ray-address 127\.0\.0\.1:1: Ray cannot connect"):
        RayCrew("127.0.0.1:1", 1, gpu=False, here=(1, 0)).open()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # else "auto" finds the cluster of any test beside this one
    with pytest.raises(RobenchError, match="--ray-address auto: Ray cannot connect"):
        RayCrew("auto", 1, gpu=False, here=(1, 0)).open()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of one node with one CPU, to which others may be added."""
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    store = {"object_store_memory": 2**27}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **store})
    yield made
    ray.shutdown()  # before the cluster goes
    made.shutdown()


def test_a_node_that_joins_is_used_and_one_that_is_lost_is_survived(
    lab: ToyLab, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = lab.run(**SLOW, db=str(lab.folder / "alone.db"))
    given: list[int] = []
    joined: list[Any] = []
    lost: list[int] = []
    give = RayCrew.give

    def change(crew: RayCrew, worker: int, task: object, tried: int) -> None:
        give(crew, worker, task, tried)
        given.append(worker)
        if len(given) == 3:
            joined.append(cluster.add_node(num_cpus=1, object_store_memory=2**27))
        if joined and len(set(given)) == 1:
            time.sleep(3)  # a busy machine takes long to start the newcomer's worker, which must find work
        if joined and not lost and len(set(given)) > 1 and given.count(worker) == 2 and worker != given[0]:
            cluster.remove_node(joined[0], allow_graceful=False)
            lost.append(len(given))

    monkeypatch.setattr(RayCrew, "give", change)
    together = lab.run(**SLOW, executor="ray", ray_address=cluster.address)
    assert lost
    assert len(set(given[3:])) >= 2  # the newcomer was used
    assert together.complete
    assert stored(lab, together) == stored(lab, alone, "alone.db")
    assert report(together) == report(alone)


def test_what_a_signal_raises_in_the_middle_of_ray_comes_through() -> None:
    def interrupted() -> None:
        raise SystemError from Stopped(signal.SIGINT)

    with pytest.raises(Stopped), stoppable():
        interrupted()
    with pytest.raises(SystemError), stoppable():
        raise SystemError
