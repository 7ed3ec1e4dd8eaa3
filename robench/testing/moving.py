"""Whether a module can move to another device."""

from __future__ import annotations

import copy
import dataclasses
from itertools import chain
from typing import TYPE_CHECKING

import torch
from torch import nn

from robench.api import Verdict
from robench.engine.precision import judging_precision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from robench.api import ImageRandom
    from robench.engine.deploy import Deployed

_REGISTERED = frozenset({"_parameters", "_buffers", "_modules"})


def stray_tensors(module: nn.Module, classifier: nn.Module) -> list[str]:
    """Name the tensors that a module holds and that do not move with it: plain attributes, alone or in containers.

    Args:
        module: The module.
        classifier: Its tensors do not count: they have been moved already.
    """
    moved = {id(tensor) for tensor in _registered(module)} | {id(tensor) for tensor in _registered(classifier)}
    found = []
    for name, part in module.named_modules():
        for key, value in vars(part).items():
            if key not in _REGISTERED:
                place = f"{name}.{key}" if name else key
                if any(id(tensor) not in moved for tensor in _tensors(value, 3)):
                    found.append(place)
    return found


def answers_on_cuda(
    deployed: Deployed, images: Tensor, streams: Callable[[torch.device], ImageRandom]
) -> Verdict | None:
    """Ask a copy of a defense on CUDA; returns its verdict on the CPU, or None where there is no CUDA.

    Args:
        deployed: The defense.
        images: Shape (N, C, H, W), float32, in [0, 1].
        streams: Returns their random streams on a device.
    """
    if not torch.cuda.is_available():
        return None
    device = torch.device("cuda")
    copied = dataclasses.replace(deployed, module=copy.deepcopy(deployed.module).to(device))
    with torch.no_grad(), judging_precision(device):
        verdict = copied.verdict(images.to(device), streams(device))
    return Verdict(logits=verdict.logits.cpu(), score=None if verdict.score is None else verdict.score.cpu())


def _registered(module: nn.Module) -> Iterator[Tensor]:
    return chain(module.parameters(), module.buffers())


def _tensors(value: object, depth: int) -> Iterator[Tensor]:
    """List the tensors in a value, through containers and modules that are no children."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, nn.Module):
        yield from _registered(value)
    elif depth and isinstance(value, (list, tuple, set, frozenset)):
        yield from (tensor for item in value for tensor in _tensors(item, depth - 1))
    elif depth and isinstance(value, dict):
        yield from _tensors(list(value.values()), depth)
