"""A classifier out of a user's own file, offered like that of a plugin."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from robench.api import ClassifierSpec, NoParameters, UsageError
from robench.engine.classifiers import load_weights
from robench.engine.prepare import Offer
from robench.engine.programs import load_program
from robench.registry.code import digest_script
from robench.registry.script import beside, call_with, load_function

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from robench.api import ModelContext
    from robench.config.classifier_file import ClassifierFile


def offer_classifier(file: ClassifierFile) -> Offer:
    """Return the classifier of a file. A Python file is run now, and its function when the classifier is needed.

    Raises:
        UsageError: If the file cannot be loaded.
    """
    if file.function:
        module = partial(_build, file, load_function(file.path, file.function))
        code = digest_script(file.path)
    else:
        module = partial(_load, file.path)
        code = hashlib.sha256(file.path.read_bytes()).hexdigest()
    spec = ClassifierSpec(
        name=file.name, summary="a file of the user's", source="", parameters=NoParameters, module=module
    )
    return Offer(spec=spec, parameters=NoParameters(), settings={}, origin={"plugin": file.name, "code": code})


def _build(file: ClassifierFile, function: Callable[..., Any], context: ModelContext[NoParameters]) -> nn.Module:
    """Call the function.

    Raises:
        UsageError: If it returns no module, or the weights do not fit.
    """
    with beside(file.path):
        module = call_with(function, {"shape": context.shape, "classes": context.classes}, file.name)
    if not isinstance(module, nn.Module):
        message = f"{file.path}: {file.function} returned {type(module).__name__}"
        raise UsageError(message, "return a torch.nn.Module")
    if file.weights is not None:
        load_weights(module, file.weights)
    return module


def _load(path: Path, context: ModelContext[NoParameters]) -> nn.Module:  # noqa: ARG001 (it is of one shape)
    return load_program(path)
