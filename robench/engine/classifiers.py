"""Classifiers that come trained: weights to load into them, and whether they classify these images at all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from robench.api import UsageError
from robench.engine.precision import judging_precision
from robench.errors import describe_exception

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import nn

    from robench.engine.data import Splits

_TRIED = 3
"""Images of the first forward pass: enough to see whether the answer to one depends on the others."""
_ALIKE = 1e-3
"""Largest difference between two answers to the same image, in units of the largest logit."""
_COUNTED = 300
"""Validation images of which the accuracy is told."""
_BATCH = 50
_SURE = 4.0
"""Standard deviations above chance from which on an accuracy is no chance."""
_LISTED = 5


def load_weights(module: nn.Module, path: Path) -> None:
    """Load a safetensors file into a module: every weight of one must be in the other.

    Args:
        module: On any device.
        path: The file.

    Raises:
        UsageError: If the file cannot be read, or names or shapes differ; the message lists them.
    """
    try:
        found = load_file(path)
    except (SafetensorError, OSError) as error:
        message = f"{path} cannot be read as safetensors: {error}"
        raise UsageError(message, "write it with safetensors.torch.save_model") from error
    # One tensor under several names is saved under one of them.
    wanted = module.state_dict(keep_vars=True)
    saved = {id(wanted[name]) for name in found if name in wanted}
    missing = [name for name, tensor in wanted.items() if name not in found and id(tensor) not in saved]
    unexpected = [name for name in found if name not in wanted]
    shapes = [
        f"{name} is {tuple(tensor.shape)}, not {tuple(wanted[name].shape)}"
        for name, tensor in found.items()
        if name in wanted and tensor.shape != wanted[name].shape
    ]
    problems = [
        f"{what}: {_some(names)}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if names
    ]
    if problems:
        message = f"{path} does not fit {type(module).__name__}: {'; '.join(problems)}"
        raise UsageError(message, "save the weights of the very network that the function returns")
    module.load_state_dict(found, strict=False)


def check_classifier(
    name: str, module: nn.Module, splits: Splits, device: torch.device, note: Callable[[str], None]
) -> None:
    """Try a classifier out on some validation images.

    Args:
        name: Of the classifier.
        module: Frozen, in evaluation mode, on the device.
        splits: The data set.
        device: Where it runs.
        note: Told the accuracy, and what may be wrong.

    Raises:
        UsageError: If it does not answer images, shape (N, C, H, W), with finite float32 logits, shape (N, K), each
            image for itself, or lets no gradient through.
    """
    few = torch.from_numpy(splits.validation.images[:_TRIED]).to(device)
    classes = len(splits.spec.classes)
    with judging_precision(device):
        logits = _logits(name, module, few.requires_grad_(), classes)
        _check_gradient(name, logits, few)
        _check_alone(name, module, logits, few, classes)
        images = torch.from_numpy(splits.validation.images[:_COUNTED])
        labels = torch.from_numpy(splits.validation.labels[:_COUNTED])
        with torch.no_grad():
            parts = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
            answers = torch.cat([_logits(name, module, part.to(device), classes).cpu() for part in parts])
    right, chance = float((answers.argmax(1) == labels).float().mean()), 1 / classes
    note(f"classifier {name}: {100 * right:.1f} % of {len(labels)} validation images right")
    if right < chance + _SURE * math.sqrt(chance * (1 - chance) / len(labels)):
        note(
            f"warning: classifier {name} is near chance ({100 * chance:.1f} %): were its weights loaded? "
            "Does it expect pixels in [0, 1], or shall it normalise them itself? Is the order of classes that of "
            f"{splits.spec.name}?"
        )
    if bool((answers >= 0).all()) and torch.allclose(answers.sum(1), torch.ones(len(answers)), atol=_ALIKE):
        note(f"warning: classifier {name} answers with probabilities; without its softmax attacks would see more")


def _logits(name: str, module: nn.Module, images: Tensor, classes: int) -> Tensor:
    try:
        logits = module(images)
    except Exception as error:
        message = f"classifier {name} fails on images of shape {tuple(images.shape)}: {describe_exception(error)}"
        hint = (
            'it must take any number of them; torch.export needs dynamic_shapes=({0: torch.export.Dim("n")},) for that'
        )
        raise UsageError(message, hint) from error
    expected = (len(images), classes)
    if not isinstance(logits, Tensor):
        message = f"classifier {name} answers with {type(logits).__name__}"
        raise UsageError(message, "return the logits alone, a tensor of shape (N, K)")
    if tuple(logits.shape) != expected or logits.dtype != torch.float32:
        message = f"classifier {name} answers {len(images)} images with {logits.dtype} of shape {tuple(logits.shape)}"
        raise UsageError(message, f"this data set needs float32 of shape {expected}")
    if not bool(logits.isfinite().all()):
        message = f"classifier {name} answers with numbers that are not finite"
        raise UsageError(message, "look at its weights")
    return logits


def _check_gradient(name: str, logits: Tensor, images: Tensor) -> None:
    gradient = torch.autograd.grad(logits.square().sum(), images)[0] if logits.requires_grad else None
    if gradient is None or not bool(gradient.isfinite().all()) or not bool(gradient.any()):
        message = f"no gradient reaches the images through classifier {name}"
        raise UsageError(message, "drop no_grad, detach, rounding and numpy from its forward")


def _check_alone(name: str, module: nn.Module, logits: Tensor, images: Tensor, classes: int) -> None:
    again, before = _logits(name, module, images[:-1].detach(), classes), logits[:-1].detach()
    if not torch.allclose(again, before, rtol=0, atol=_ALIKE * float(before.abs().max())):
        message = f"classifier {name} answers the same image differently the second time"
        raise UsageError(message, "let eval() switch off its dropout and batch statistics")


def _some(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
