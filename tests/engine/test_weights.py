"""Training, its checkpoints, and the cache of weights."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import Tensor, nn
from torch.nn import functional

from robench.api import DataContext, DatasetSpec, DefenseSpec, Network, NoParameters, PluginError, Recipe
from robench.engine.checkpoint import load_checkpoint
from robench.engine.data import LoadedSplit, Splits
from robench.engine.digests import module_digest
from robench.engine.prepare import Offer, Settings, Workshop
from robench.engine.progress import Silent
from robench.engine.training import learning_rate
from robench.engine.weights import CHECKPOINT, MANIFEST, WEIGHTS, WeightCache, check_weights
from robench.errors import RobenchError

if TYPE_CHECKING:
    from pathlib import Path

    from robench.engine.weights import TrainedNetwork

CPU = torch.device("cpu")


def data(seed: int = 0) -> LoadedSplit:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, 90)
    images = (generator.uniform(0, 0.5, (90, 1, 4, 4)) + 0.5 * labels[:, None, None, None]).astype(np.float32)
    return LoadedSplit(images=images, labels=labels.astype(np.int64), digest=f"digest of {seed}")


def build() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, 2))


def loss(module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    return {"loss": functional.cross_entropy(module(images).float(), labels)}


def network(**changes: Any) -> Network:
    values: dict[str, Any] = {
        "name": "tiny",
        "build": build,
        "loss": loss,
        "recipe": Recipe(epochs=3, batch_size=20, learning_rate=0.01),
    }
    return Network(**{**values, **changes})


def obtain(root: Path, **changes: Any) -> TrainedNetwork:
    values: dict[str, Any] = {
        "network": network(),
        "split": data(),
        "validation": data(),
        "dataset": "bars",
        "seed": 0,
        "device": CPU,
        "classifier": None,
        "origin": {"plugin": "toys 1.0", "code": "abc"},
        "progress": Silent(),
    }
    return WeightCache(root).obtain(**{**values, **changes})


def test_weights_are_trained_once_and_found_again(tmp_path: Path) -> None:
    first, second = obtain(tmp_path), obtain(tmp_path)
    assert first.trained_now
    assert not second.trained_now
    assert first.folder == second.folder
    assert module_digest(first.module) == module_digest(second.module)
    assert not (first.folder / CHECKPOINT).exists()


def test_the_manifest_says_where_weights_come_from(tmp_path: Path) -> None:
    trained = obtain(tmp_path)
    manifest = json.loads((trained.folder / MANIFEST).read_text())
    assert manifest["digest"] == module_digest(trained.module)
    assert manifest["data"] == "digest of 0"
    assert manifest["seed"] == 0
    assert manifest["recipe"]["epochs"] == 3
    assert manifest["versions"]["torch"]
    assert manifest["versions"]["code"] == "abc"
    assert [entry["epoch"] for entry in manifest["history"]] == [1, 2, 3]
    assert all(entry["loss"] > 0 for entry in manifest["history"])


def test_the_validation_losses_of_each_epoch_are_those_of_the_network_without_dropout(tmp_path: Path) -> None:
    trained = obtain(tmp_path, validation=data(5))
    history = json.loads((trained.folder / MANIFEST).read_text())["history"]
    held_out = data(5)
    with torch.no_grad():
        expected = loss(trained.module.eval(), torch.from_numpy(held_out.images), torch.from_numpy(held_out.labels))
    assert history[-1]["validation_loss"] == pytest.approx(float(expected["loss"]), rel=2e-2)  # bfloat16
    assert len({entry["validation_loss"] for entry in history}) == 3


def test_what_is_validated_does_not_shape_the_weights(tmp_path: Path) -> None:
    first, second = obtain(tmp_path / "a"), obtain(tmp_path / "b", validation=data(5))
    assert module_digest(first.module) == module_digest(second.module)
    assert first.manifest["key"] == second.manifest["key"]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"split": data(1)},
        {"origin": {"plugin": "toys 1.1", "code": "abc"}},
        {"origin": {"plugin": "toys 1.0", "code": "abd"}},
        {"network": network(architecture={"width": 2})},
        {"network": network(recipe=Recipe(epochs=4, batch_size=20, learning_rate=0.01))},
        {"classifier": build()},
        {"dataset": "other"},
    ],
)
def test_any_change_of_what_shapes_weights_trains_anew(tmp_path: Path, change: dict[str, Any]) -> None:
    first = obtain(tmp_path)
    second = obtain(tmp_path, **change)
    assert second.trained_now
    assert second.folder != first.folder


def test_the_same_seed_trains_the_same_weights_whatever_the_global_generators(tmp_path: Path) -> None:
    first = obtain(tmp_path / "one")
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 (the legacy generator is what must not matter)
    state = torch.random.get_rng_state()
    second = obtain(tmp_path / "two")
    assert module_digest(first.module) == module_digest(second.module)
    assert torch.equal(torch.random.get_rng_state(), state)


class StopAt(Silent):
    """Stops a training at an update, as a signal would."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def task(self, title: str, total: int, unit: str) -> StopAt:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def update(self, done: int, detail: str = "") -> None:
        if done >= self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("step", [3, 5, 11])
def test_a_stopped_training_resumes_to_the_very_same_weights_and_history(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = obtain(tmp_path / "whole")
    monkeypatch.setattr("robench.engine.training._SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    monkeypatch.setattr("robench.engine.training._CHECKPOINT_COST_SHARE", float("inf"))
    monkeypatch.setattr("robench.engine.training._SECONDS_BETWEEN_UPDATES", -1.0)
    with pytest.raises(KeyboardInterrupt):
        obtain(tmp_path / "cut", progress=StopAt(step))
    listener = StopAt(10**9)
    resumed = obtain(tmp_path / "cut", progress=listener)
    assert listener.notes == [f"tiny: going on from step {step - 1} of 15"]
    assert module_digest(resumed.module) == module_digest(whole.module)
    for one, other in zip(resumed.manifest["history"], whole.manifest["history"], strict=True):  # type: ignore[call-overload]
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-9)


@pytest.mark.parametrize("name", [WEIGHTS, MANIFEST])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_damaged_weights_are_never_used(tmp_path: Path, name: str, damage: str) -> None:
    folder = obtain(tmp_path).folder
    content = (folder / name).read_bytes()
    flipped = content[:-20] + bytes([content[-20] ^ 64]) + content[-19:]
    (folder / name).write_bytes({"flip": flipped, "truncate": content[: len(content) // 2], "empty": b""}[damage])
    with pytest.raises(RobenchError, match=r"the cached weights in .* are damaged.*delete the folder"):
        obtain(tmp_path)


@pytest.mark.parametrize("name", [WEIGHTS, MANIFEST, CHECKPOINT])
def test_files_that_cannot_be_read_are_not_called_damaged(tmp_path: Path, name: str) -> None:
    path = obtain(tmp_path).folder / name
    path.unlink(missing_ok=True)
    path.mkdir()  # fails for root, too
    (fault,) = filter(None, check_weights(tmp_path))
    assert str(fault).startswith(f"cannot read {path}: Is a directory; check its permissions")
    assert "delete" not in str(fault)


def test_a_damaged_checkpoint_is_said_to_be_damaged(tmp_path: Path) -> None:
    module = build()
    path = tmp_path / CHECKPOINT
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(RobenchError, match="is damaged; delete it to train from the start"):
        load_checkpoint(path, module, torch.optim.Adam(module.parameters()))


def test_a_diverging_training_is_stopped_with_its_name(tmp_path: Path) -> None:
    def explode(module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"loss": module(images).float().sum() * float("nan")}

    with pytest.raises(RobenchError, match="training of tiny diverged: loss is nan"):
        obtain(tmp_path, network=network(loss=explode))


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file where a folder should be")
    with pytest.raises(RobenchError, match=r"cannot write to the cache folder .*; set ROBENCH_CACHE"):
        obtain(tmp_path)


def test_one_cycle_rises_to_its_peak_and_decays() -> None:
    recipe = Recipe(epochs=1, batch_size=1, learning_rate=1.0, schedule="one-cycle", warmup=0.3)
    rates = [learning_rate(recipe, step, 100) for step in range(100)]
    peak = rates.index(max(rates))
    assert 28 <= peak <= 31
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 0.01


def test_a_constant_schedule_is_constant() -> None:
    recipe = Recipe(epochs=1, batch_size=1, learning_rate=0.1)
    assert {learning_rate(recipe, step, 10) for step in range(10)} == {0.1}


def test_cached_weights_need_no_lock_so_a_read_only_cache_will_do(tmp_path: Path) -> None:
    folder = obtain(tmp_path).folder
    listener = StopAt(10**9)
    with FileLock(folder / ".lock"):
        assert not obtain(tmp_path, progress=listener).trained_now
    assert listener.notes == []


def test_a_second_process_waits_for_the_first_and_uses_its_weights(tmp_path: Path) -> None:
    folder = obtain(tmp_path).folder
    manifest = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).unlink()
    listener = StopAt(10**9)
    with ThreadPoolExecutor(1) as pool:
        with FileLock(folder / ".lock"):
            waiting = pool.submit(obtain, tmp_path, progress=listener)
            while not listener.notes:
                time.sleep(0.01)
            (folder / MANIFEST).write_bytes(manifest)
        assert not waiting.result(timeout=60).trained_now
    assert listener.notes == ["tiny: waiting for another process that is training it"]


def test_weights_belong_to_a_classifier_only_if_the_loss_uses_it(tmp_path: Path) -> None:
    workshop, found = workshop_in(tmp_path), {}
    for uses_classifier in (False, True):
        wanted = network(name="uses" if uses_classifier else "ignores", uses_classifier=uses_classifier)
        offer = offering(build=lambda context, networks: networks["tiny"], networks=partial(listed, wanted))
        trained = [workshop.train_networks(offer, seeded_classifier(seed))[wanted.name] for seed in (1, 2)]
        found[uses_classifier] = len({item.folder for item in trained})
    assert found == {False: 1, True: 2}


def test_a_defense_that_builds_no_module_is_told_so(tmp_path: Path) -> None:
    offer = offering(build=lambda context, networks: None)
    with pytest.raises(PluginError, match=r"mine: build returned NoneType, not a torch\.nn\.Module; return the module"):
        workshop_in(tmp_path).prepare(offer, seeded_classifier(0))


def workshop_in(folder: Path) -> Workshop:
    split = data()
    spec = DatasetSpec(
        name="bars",
        summary="",
        source="",
        shape=(1, 4, 4),
        classes=("a", "b"),
        sizes={"train": 90, "validation": 90, "test": 90},
        load=lambda name, context: split,
    )
    settings = Settings(
        profile="quick",
        seed=0,
        calibration="finite-sample",
        false_positive_rate=0.1,
        batch_size=10,
        precision="float32",
    )
    context = DataContext(data_dir=None, cache_dir=folder, offline=True, report=print)
    return Workshop(Splits(spec, context), WeightCache(folder), settings, CPU, Silent())


def offering(**fields: Any) -> Offer:
    spec = DefenseSpec(name="mine", summary="", source="", parameters=NoParameters, **fields)
    return Offer(spec=spec, parameters=NoParameters(), settings={}, origin={"plugin": "toys", "code": "abc"})


def listed(wanted: Network, context: object) -> list[Network]:
    return [wanted]


def seeded_classifier(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return build()
