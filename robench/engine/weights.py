"""The cache of trained weights: safetensors with a manifest, found again by everything that shaped them."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from robench import __version__
from robench.engine.checkpoint import read_checkpoint
from robench.engine.digests import module_digest, settings_digest, tensors_digest
from robench.engine.files import replacing, require_readable, unreadable
from robench.engine.layers import faster_layers
from robench.engine.precision import training_format
from robench.engine.seeding import isolated_default_generator
from robench.engine.training import train
from robench.errors import RobenchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from robench.api import Network
    from robench.engine.data import LoadedSplit
    from robench.engine.progress import Progress

WEIGHTS, MANIFEST, CHECKPOINT = "weights.safetensors", "manifest.json", "checkpoint.safetensors"

_DAMAGE = (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError)
"""Raised on reading weights that are not as they were written; any other ``OSError`` says nothing of them."""


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A network with its weights.

    Attributes:
        module: On the device where it is wanted.
        folder: Where weights and manifest are.
        trained_now: False if the weights were in the cache.
        manifest: Everything that is known of the weights.
    """

    module: nn.Module
    folder: Path
    trained_now: bool
    manifest: Mapping[str, object]


class MissingWeightsError(RobenchError):
    """Weights are not in the cache, and nothing may be trained."""


class WeightCache:
    """Weights by dataset, network and key.

    Args:
        root: The folder of the cache; made when first needed.
        trains: Whether what is missing is trained.
        fresh: Folders of weights that are not to be trained again, as if this very object had trained them.

    Attributes:
        used: Folders of all weights that were obtained through this very object.
    """

    def __init__(self, root: Path, *, trains: bool = True, fresh: Iterable[Path] = ()) -> None:
        self.root = root
        self._trains = trains
        self.used: set[Path] = set()
        self._trained = set(fresh)

    def obtain(
        self,
        network: Network,
        split: LoadedSplit,
        validation: LoadedSplit,
        *,
        dataset: str,
        seed: int,
        device: torch.device,
        classifier: nn.Module | None,
        classifier_code: str = "",
        origin: Mapping[str, str],
        progress: Progress,
        retrain: bool = False,
    ) -> TrainedNetwork:
        """Load the weights of a network, or train them.

        Args:
            network: What to train and how.
            split: Training images and labels.
            validation: What its losses are recorded on after each epoch; the weights do not depend on it.
            dataset: Name of the data set.
            seed: Of the training.
            device: Where to train, and where the module is returned.
            classifier: The defended classifier, if the network's loss uses it.
            classifier_code: SHA-256 of its code, if it came trained: then its weights do not depend on its code.
            origin: Distribution, version and code digest of the plugin.
            progress: Told of a training.
            retrain: Train even if there are weights, unless they were trained through this very object.

        Raises:
            MissingWeightsError: If there are none, and nothing is to be trained.
            RobenchError: If files are damaged or cannot be written, or the training diverges.
        """
        identity = {
            "network": network.name,
            "architecture": dict(network.architecture),
            "recipe": asdict(network.recipe),
            "dataset": dataset,
            "data": split.digest,
            "classifier": None if classifier is None else module_digest(classifier),
            "seed": seed,
            **({"classifier_code": classifier_code} if classifier is not None and classifier_code else {}),
            "versions": {"robench": __version__, "torch": torch.__version__.split("+")[0], **origin},
        }
        key = settings_digest(identity)
        folder = self.root / "weights" / dataset / f"{network.name}-{key[:12]}"
        retrain = retrain and folder not in self._trained
        self.used.add(folder)
        if not retrain and (folder / MANIFEST).exists():
            return _load(folder, network, key, device)  # without a lock, so that a read-only cache will do
        if not self._trains:
            message = f"{folder} holds no weights of {network.name}"
            raise MissingWeightsError(message, "robench train makes them")
        with _locked(folder, network.name, progress):
            if retrain:
                (folder / MANIFEST).unlink(missing_ok=True)
                (folder / CHECKPOINT).unlink(missing_ok=True)
            if (folder / MANIFEST).exists():
                return _load(folder, network, key, device)  # another process has just trained it
            for unfinished in folder.glob(".*.tmp"):
                unfinished.unlink(missing_ok=True)  # of a process that was killed: nobody else writes under this lock
            begun = time.monotonic()
            with faster_layers(*([] if classifier is None else [classifier])):
                module, history = train(
                    network,
                    split,
                    validation,
                    seed=seed,
                    device=device,
                    checkpoint=folder / CHECKPOINT,
                    progress=progress,
                )
            manifest: dict[str, object] = {
                "key": key,
                **identity,
                "history": history,
                "device": device.type,
                "format": training_format(device),
                "seconds": round(time.monotonic() - begun, 1),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            manifest = _save(folder, module, manifest)
            (folder / CHECKPOINT).unlink(missing_ok=True)
            self._trained.add(folder)
        return TrainedNetwork(module=module, folder=folder, trained_now=True, manifest=manifest)


@contextmanager
def _locked(folder: Path, name: str, progress: Progress) -> Iterator[None]:
    """Keep a second process from training the same network at the same time; the system frees a dead one's lock."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress.note(f"{name}: waiting for another process that is training it")
            lock.acquire()
    except OSError as error:
        message = f"cannot write to the cache folder {folder}: {error.strerror or error}"
        raise UsageError(message, "set ROBENCH_CACHE to a folder that you can write to") from error
    try:
        yield
    finally:
        lock.release()


def _save(folder: Path, module: nn.Module, manifest: dict[str, object]) -> dict[str, object]:
    """Write the weights, then the manifest that makes them count."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    manifest = {"digest": tensors_digest(tensors), **manifest}
    manifest = {**manifest, "manifest_digest": settings_digest(manifest)}
    with replacing(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"key": str(manifest["key"])})
    with replacing(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return manifest


def check_weights(root: Path) -> Iterator[RobenchError | None]:
    """Hold all weights of a cache, and the checkpoints of trainings under way, against their digests.

    Args:
        root: The folder of the cache.

    Yields:
        For each file None, or what is wrong.
    """
    for path in sorted(root.glob(f"weights/*/*/{MANIFEST}")):
        try:
            manifest, _ = _read(path.parent)
        except RobenchError as error:
            yield error
        else:
            moved = not path.parent.name.endswith(str(manifest["key"])[:12])
            yield _damaged(path.parent) if moved else None
    for path in sorted(root.glob(f"weights/*/*/{CHECKPOINT}")):
        try:
            read_checkpoint(path)
        except RobenchError as error:
            yield error
        else:
            yield None


def _load(folder: Path, network: Network, key: str, device: torch.device) -> TrainedNetwork:
    manifest, tensors = _read(folder)
    if manifest["key"] != key:
        raise _damaged(folder)
    with isolated_default_generator():
        module = network.build()
    # Loading converts other formats silently.
    expected = {name: (value.shape, value.dtype) for name, value in module.state_dict().items()}
    if {name: (value.shape, value.dtype) for name, value in tensors.items()} != expected:
        raise _damaged(folder)
    module.load_state_dict(tensors)
    return TrainedNetwork(module=module.to(device), folder=folder, trained_now=False, manifest=manifest)


def _read(folder: Path) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Read weights and manifest, and hold them against their digests."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        path = folder / WEIGHTS
        require_readable(path)
        tensors = load_file(path)
        rest = {name: value for name, value in manifest.items() if name != "manifest_digest"}
        found = (manifest["digest"], manifest["manifest_digest"])
        if found != (tensors_digest(tensors), settings_digest(rest)) or not isinstance(manifest["key"], str):
            raise _damaged(folder)
    except _DAMAGE as error:
        raise _damaged(folder) from error
    except OSError as error:
        raise unreadable(path, error) from error
    return manifest, tensors


def _damaged(folder: Path) -> RobenchError:
    message = f"the cached weights in {folder} are damaged: they differ from their manifest"
    return RobenchError(message, "delete the folder to train them anew")
