"""A classifier that is a user's own file rather than a plugin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robench.config.checks import invalid, shown

if TYPE_CHECKING:
    from robench.config.layers import Layer, Layers

_PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib"})
_FORMS = "write model.py:build for a function of your own, or model.pt2 for what torch.export.save wrote"
_MEND = """save the weights alone, in the program that has the model:
    from safetensors.torch import save_model
    model = ...  # as you load it now
    save_model(model, "weights.safetensors")
then give --classifier model.py:build --classifier-weights weights.safetensors"""


@dataclass(frozen=True, kw_only=True)
class ClassifierFile:
    """Where a user's own classifier is.

    Attributes:
        path: A Python file, or a program that ``torch.export.save`` wrote.
        function: In a Python file, what returns the classifier; empty for a program.
        weights: A safetensors file to load into it, if any.
    """

    path: Path
    function: str
    weights: Path | None

    @property
    def name(self) -> str:
        """What the store and reports call it: the file without its folder, so that it may be moved."""
        return f"{self.path.name}:{self.function}" if self.function else self.path.name


def find_classifier(layers: Layers) -> tuple[str, ClassifierFile | None]:
    """Return the name of the classifier, and where it is if it is a file.

    Paths in benchmarks.toml count from its folder, others from the current one. Weights that a weaker source names
    belong to the classifier that it names, not to this one.

    Args:
        layers: The sources of settings.

    Raises:
        UsageError: If there is no such plugin or file, or the file is not of a kind that can be loaded.
    """
    layer = layers.deciding("classifier")
    text, place = layer.choices.classifier or "", layer.place("classifier")
    own = layers.down_to(layer)
    weights = own.value("classifier_weights")
    if not _is_file(text):
        if weights is not None:
            problem = f"classifier {text} is a plugin, which has weights of its own"
            raise invalid(own.deciding("classifier_weights").place("classifier_weights"), problem, "leave one out")
        return layers.name("classifier"), None
    path, function = _read(text, place)
    if weights is None:
        found = ClassifierFile(path=_existing(path, layer, "classifier"), function=function, weights=None)
        return found.name, found
    holder = own.deciding("classifier_weights")
    place = holder.place("classifier_weights")
    if not function:
        raise invalid(place, f"{path.name} holds its weights already", "leave one out")
    _check_weights(Path(weights), place)
    found = ClassifierFile(
        path=_existing(path, layer, "classifier"),
        function=function,
        weights=_existing(Path(weights), holder, "classifier_weights"),
    )
    return found.name, found


def _is_file(text: str) -> bool:
    return "/" in text or ":" in text or bool(Path(text).suffix)


def _read(text: str, place: str) -> tuple[Path, str]:
    """Split what names a file into the path and the function.

    Raises:
        UsageError: If such a file cannot be loaded, or not without running what anybody may have put into it.
    """
    name, _, function = text.rpartition(":")
    if name.endswith(".py") and function.isidentifier():
        return Path(name), function
    path = Path(text)
    if path.suffix == ".pt2":
        return path, ""
    if path.suffix == ".py":
        raise invalid(place, f"{shown(text)} does not say which function returns the classifier", f"write {text}:build")
    if path.suffix == ".safetensors":
        problem = f"{shown(text)} holds weights, but not the network that they belong to"
        raise invalid(place, problem, f"write --classifier model.py:build --classifier-weights {text}")
    _refuse_pickles(path, place)
    raise invalid(place, f"{shown(text)} is neither a plugin nor a file that can be loaded", _FORMS)


def _check_weights(path: Path, place: str) -> None:
    _refuse_pickles(path, place)
    if path.suffix != ".safetensors":
        raise invalid(place, f"{shown(str(path))} is no .safetensors file", _MEND)


def _refuse_pickles(path: Path, place: str) -> None:
    if path.suffix in _PICKLES:
        raise invalid(place, f"{shown(str(path))} is a pickle, and loading one runs whatever code is in it", _MEND)


def _existing(path: Path, layer: Layer, key: str) -> Path:
    """Return a path as an absolute one.

    Raises:
        UsageError: If there is no such file, or it cannot be read, which libraries tell in ways of their own.
    """
    found = (layer.folder / path.expanduser()).absolute()
    try:
        if not found.is_file():
            raise invalid(layer.place(key), f"there is no file {shown(str(found))}")
        with found.open("rb"):
            return found
    except OSError as error:
        problem = f"{shown(str(found))} cannot be read: {error.strerror or error}"
        raise invalid(layer.place(key), problem, "look at its permissions") from error
