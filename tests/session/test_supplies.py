"""What a worker on another machine gets."""

from __future__ import annotations

import dataclasses
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from robench.engine.data import LoadedSplit
from robench.errors import DataError, RobenchError
from robench.executors.spawned import SpawnedCrew
from robench.session.supplies import Supplies, unpack
from tests.executors.sharing import stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from robench.session.worker import Blueprint
    from tests.conftest import ToyLab


class Eavesdropper:
    """Remembers what a run told its workers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tasks: list[Any] = []
        brief, give = SpawnedCrew.brief, SpawnedCrew.give

        def listen(crew: SpawnedCrew, factory: bytes, supplies: Callable[[], bytes]) -> None:
            self.blueprint: Blueprint = pickle.loads(factory)
            self.supplies = supplies()
            brief(crew, factory, supplies)

        def remember(crew: SpawnedCrew, worker: int, task: object, tried: int) -> None:
            self.tasks.append(task)
            give(crew, worker, task, tried)

        monkeypatch.setattr(SpawnedCrew, "brief", listen)
        monkeypatch.setattr(SpawnedCrew, "give", remember)


@pytest.mark.slow
def test_another_machine_gets_weights_and_images_and_finds_the_same(
    lab: ToyLab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard = Eavesdropper(monkeypatch)
    summary = lab.run(attacks=("fgsm",), executor="processes", workers=1)
    expected = {key[3]: found for key, found in stored(lab, summary).items()}
    monkeypatch.setenv("ROBENCH_CACHE", str(tmp_path / "other"))
    elsewhere = dataclasses.replace(heard.blueprint, machine="another one")

    def load(*_: object) -> None:
        message = "the data set is not on that machine"
        raise AssertionError(message)

    monkeypatch.setattr("robench_toys.data.load", load)
    worker = elsewhere(lambda: heard.supplies)
    results = [worker(task, 0) for task in heard.tasks]
    found: dict[str, list[Any]] = {}
    for result in results:
        assert result.failure is None
        for work in result.found:
            for key, own in work.works.items():
                found.setdefault(key, []).extend(own.outcomes)
    assert {key: tuple(own) for key, own in found.items()} == expected
    files = [path.relative_to(tmp_path / "other") for path in (tmp_path / "other").rglob("weights.safetensors")]
    assert files == [path.relative_to(lab.cache) for path in (lab.cache / files[0]).parent.rglob("weights.safetensors")]


@pytest.mark.slow
def test_a_worker_with_other_versions_or_another_threshold_is_refused(
    lab: ToyLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Eavesdropper(monkeypatch)
    lab.run(defenses=("toy-detect",), attacks=("fgsm",), executor="processes", workers=1)
    old = {**heard.blueprint.versions, "torch": "1.0"}
    with pytest.raises(RobenchError, match=r"and the run was planned with 1\.0; install the same versions"):
        dataclasses.replace(heard.blueprint, versions=old)(lambda: b"")
    (name,) = [name for name in heard.blueprint.fixed if name == "toy-detect"]
    lower = dataclasses.replace(heard.blueprint.fixed[name], threshold=0.1)
    worker = dataclasses.replace(heard.blueprint, fixed={name: lower})(lambda: b"")
    with pytest.raises(RobenchError, match=r"toy-detect under clean: .* has other code, data or weights than"):
        worker(heard.tasks[0], 0)
    others = dataclasses.replace(heard.blueprint.fixed[name], digest="0" * 64)
    worker = dataclasses.replace(heard.blueprint, fixed={name: others})(lambda: b"")
    with pytest.raises(RobenchError, match="toy-detect has other weights here than where the run was planned"):
        worker(heard.tasks[0], 0)


def test_images_that_were_altered_on_their_way_are_refused(tmp_path: Path) -> None:
    images, labels = np.zeros((2, 1, 8, 8), np.float32), np.zeros(2, np.int64)
    altered = LoadedSplit(images=images, labels=labels, digest="0" * 64)
    packed = pickle.dumps(Supplies(weights={}, splits={"test": altered}))
    with pytest.raises(DataError, match="the test images were altered on their way"):
        unpack(packed, tmp_path)
