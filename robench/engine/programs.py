"""Programs that ``torch.export.save`` wrote, loaded without running anything that is in the file.

``torch.export.load`` of torch 2.10 to 2.13 unpickles the sample inputs and whatever weights and constants are marked as
pickled, looks operators up anywhere in ``torch``, evaluates the sizes of tensors as Python text, and loads compiled
libraries. Hence a file is read here first: what it has to say is compared with short lists of what a classifier
needs, the rest is refused or left out, and torch gets a copy with nothing else in it.
"""

from __future__ import annotations

import copy
import io
import json
import re
import warnings
import zipfile
from typing import TYPE_CHECKING

import torch
from torch import nn

from robench.api import UsageError
from robench.errors import describe_exception

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

_MODEL = "models/model.json"
_SAMPLES = "data/sample_inputs/model.pt"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_KEPT = re.compile(
    r"archive_format|archive_version|byteorder|\.data/(version|serialization_id)|\.format_version|\.storage_alignment|"
    r"data/weights/(weight_\d+|model_weights_config\.json)|"
    r"data/constants/(tensor_\d+|model_constants_config\.json)|"
    r"models/model\.json|data/sample_inputs/model\.pt"
)

_TEXT = re.compile(r"[\w.+-]*", re.ASCII)
"""Names, versions and the few texts that operators take: nothing that could call a function."""
_SIZE = re.compile(
    r"(Symbol\('[a-z]+\d++'|(positive|nonnegative|integer|evaluate)=(True|False)|"
    r"(Add|Mul|Pow|Integer|Rational|FloorDiv|Mod|Max|Min)\(|[a-z]\d++|\d++|[-+*/(), ])*",
    re.ASCII,
)
_OPERATOR = re.compile(
    r"torch\.ops\.aten\.(?!from_file)_?[a-z]\w*\.[A-Za-z]\w*|"
    r"_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge)",
    re.ASCII,
)
_TREE_TYPES = (None, "builtins.tuple", "builtins.list", "builtins.dict")
_TREE_CONTEXT = re.compile(r'null|\[("\w*"(, "\w*")*)?\]', re.ASCII)

_MEND = "use model.py:build with safetensors weights, or export a plain network again with this torch"


class Program(nn.Module):
    """A loaded program as a classifier: it computes in the mode in which it was exported.

    Args:
        graph: Images to logits.
    """

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, images: Tensor) -> Tensor:
        """Answer images, shape (N, C, H, W), with logits, shape (N, K)."""
        logits: Tensor = self.graph(images)
        return logits

    def train(self, mode: bool = True) -> Program:
        """Change nothing: the graph refuses to be asked."""
        self.training = mode
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Program:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's own, about how it copies its trees
            return Program(copy.deepcopy(self.graph, memo))


def load_program(path: Path) -> Program:
    """Load a program that ``torch.export.save`` wrote.

    Args:
        path: The file, with suffix ``.pt2``.

    Raises:
        UsageError: If the file is damaged, or holds anything that might run when it is loaded.
    """
    try:
        checked = _checked(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = torch.export.load(checked).module()
    except UsageError:
        raise
    except Exception as error:
        message = f"{path} cannot be loaded: {describe_exception(error)}"
        raise UsageError(message, _MEND) from error
    return Program(graph)


def _checked(path: Path) -> io.BytesIO:
    """Return a copy of a program in which nothing is that might run.

    Raises:
        UsageError: If it cannot do without.
    """
    copied = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copied, "w", zipfile.ZIP_STORED) as checked:
        for member in archive.namelist():
            name = member.partition("/")[2]
            if not _KEPT.fullmatch(name):
                raise _refusal(path, f"it holds {name or member!r}")
            content = archive.read(member)
            if name in _CONFIGS:
                _check_payload(path, content)
            elif name == _MODEL:
                content = _check_model(path, content)
            elif name == _SAMPLES:
                content = b""  # a pickle, of which nothing is needed
            checked.writestr(f"program/{name}", content)
    copied.seek(0)
    return copied


def _check_payload(path: Path, content: bytes) -> None:
    for name, entry in json.loads(content)["config"].items():
        if entry["use_pickle"] is not False:
            raise _refusal(path, f"{name!r} is pickled")


def _check_model(path: Path, content: bytes) -> bytes:
    """Return the description of a graph without what is there for people, once all its texts are known to be names."""
    model = json.loads(content)
    if "guards_code" in model:
        model["guards_code"] = []
    for key, value in _entries(model):
        if key == "target" and not _OPERATOR.fullmatch(value):
            raise _refusal(path, f"it calls {value!r}")
        if key == "expr_str":
            fits = _SIZE.fullmatch(value) is not None
        elif key in {"in_spec", "out_spec"}:
            fits = _is_plain_tree(json.loads(value)[1])
        else:
            fits = _TEXT.fullmatch(value) is not None
        if not fits:
            raise _refusal(path, f"its {key} is {value!r}")
    return json.dumps(model).encode()


def _entries(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """List all texts with the key that they are under, keys as texts too. Empties what describes nodes to people."""
    if isinstance(value, dict):
        if "metadata" in value and ("target" in value or "graph" in value):
            value["metadata"] = {}
        for name, item in value.items():
            yield "key", name
            yield from _entries(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _entries(item, key)
    elif isinstance(value, str):
        yield key, value


def _is_plain_tree(tree: dict[str, object]) -> bool:
    children = tree["children_spec"]
    if not isinstance(children, list):
        return False
    plain = tree["type"] in _TREE_TYPES and _TREE_CONTEXT.fullmatch(str(tree["context"] or "null")) is not None
    return plain and all(_is_plain_tree(child) for child in children)


def _refusal(path: Path, reason: str) -> UsageError:
    message = f"{path} cannot be loaded without the risk of running code: {reason}"
    return UsageError(message, _MEND)
