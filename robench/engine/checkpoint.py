"""Training state on disk: enough to go on from the very step, in a format that executes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from robench.engine.digests import settings_digest, tensors_digest
from robench.engine.files import replacing, require_readable, unreadable
from robench.errors import RobenchError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn
    from torch.optim import Optimizer


@dataclass
class TrainingState:
    """Where a training stands.

    Attributes:
        step: Optimiser steps done.
        sums: Losses summed over the images of the present epoch.
        history: One entry per finished epoch: its number, seconds and mean losses.
        seconds: Wall time spent on the present epoch.
    """

    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


def save_checkpoint(path: Path, module: nn.Module, optimizer: Optimizer, state: TrainingState) -> None:
    """Write everything that training needs to go on.

    Raises:
        RobenchError: If the file cannot be written.
    """
    tensors = _collect(module, optimizer)
    record = {"state": vars(state), "digest": _digest(tensors, vars(state))}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"training": json.dumps(record, allow_nan=False)})


def load_checkpoint(path: Path, module: nn.Module, optimizer: Optimizer) -> TrainingState:
    """Restore module and optimiser in place.

    Raises:
        RobenchError: If the file is damaged or belongs to another network.
    """
    tensors, record = read_checkpoint(path)
    try:
        state = TrainingState(**record["state"])
        module.load_state_dict({key[6:]: value for key, value in tensors.items() if key.startswith("model.")})
        optimizer.load_state_dict(_optimizer_state(tensors, optimizer))
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise _damaged(path) from error
    return state


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the record of a checkpoint, and hold them against their digest.

    Raises:
        RobenchError: If the file is damaged or cannot be read.
    """
    try:
        require_readable(path)
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            record = json.loads((file.metadata() or {})["training"])
        if _digest(tensors, record["state"]) != record["digest"]:
            raise _damaged(path)
    except OSError as error:
        raise unreadable(path, error) from error
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise _damaged(path) from error
    return tensors, record


def _digest(tensors: Mapping[str, Tensor], state: Mapping[str, object]) -> str:
    return settings_digest({"tensors": tensors_digest(tensors), "state": state})


def _damaged(path: Path) -> RobenchError:
    message = f"the training checkpoint {path} is damaged"
    return RobenchError(message, "delete it to train from the start")


def _collect(module: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    tensors = {f"model.{name}": value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    for index, entries in optimizer.state_dict()["state"].items():
        for name, value in entries.items():
            tensors[f"optimizer.{index}.{name}"] = value.detach().cpu().contiguous()
    return tensors


def _optimizer_state(tensors: dict[str, Tensor], optimizer: Optimizer) -> dict[str, object]:
    entries: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        kind, _, rest = key.partition(".")
        if kind == "optimizer":
            index, _, name = rest.partition(".")
            entries.setdefault(int(index), {})[name] = value
    return {"state": entries, "param_groups": optimizer.state_dict()["param_groups"]}
