"""Programs of torch.export are loaded, and nothing in them is run."""

from __future__ import annotations

import copy
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from robench.api import UsageError
from robench.engine.deploy import freeze
from robench.engine.programs import load_program

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "program/models/model.json"
IMAGES = torch.linspace(0, 1, 3 * 64).reshape(3, 1, 8, 8)


def network() -> nn.Module:
    layers = (nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.GELU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.5))
    return nn.Sequential(*layers, nn.Linear(8, 4)).eval()


def export(module: nn.Module, path: Path, *, dynamic: bool = True) -> Path:
    shapes = ({0: torch.export.Dim("n")},) if dynamic else None
    torch.export.save(torch.export.export(module, (IMAGES[:2],), dynamic_shapes=shapes), path)
    return path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    module = network()
    return module, export(module, tmp_path_factory.mktemp("programs") / "program.pt2")


def alter(source: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write a copy of an archive with other content."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target


def in_model(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def changed(members: dict[str, bytes]) -> None:
        model = json.loads(members[MODEL])
        change(model)
        members[MODEL] = json.dumps(model).encode()

    return changed


def test_a_program_answers_as_the_network_did(original: tuple[nn.Module, Path]) -> None:
    module, path = original
    program = freeze(load_program(path), torch.device("cpu"))
    assert torch.allclose(program(IMAGES), module(IMAGES), atol=1e-6)
    assert torch.allclose(copy.deepcopy(program)(IMAGES), module(IMAGES), atol=1e-6)
    assert len(program.state_dict()) == len(module.state_dict())
    images = IMAGES.clone().requires_grad_()
    program(images).sum().backward()
    assert images.grad is not None
    assert bool(images.grad.any())


def test_a_program_for_one_size_of_batch_says_so_when_asked(tmp_path: Path) -> None:
    program = load_program(export(network(), tmp_path / "fixed.pt2", dynamic=False))
    with pytest.raises(RuntimeError, match="specify dynamic_shapes"):
        program(IMAGES)


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


def bomb(mark: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(Bomb(mark), buffer, pickle_module=pickle)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore")
def test_sample_inputs_are_not_unpickled_though_torch_would(original: tuple[nn.Module, Path], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    altered = alter(
        original[1],
        tmp_path / "altered.pt2",
        lambda members: members.update({"program/data/sample_inputs/model.pt": bomb(mark)}),
    )
    load_program(altered)
    assert not mark.exists()
    with pytest.raises(Exception):  # noqa: B017, PT011  # what becomes of it afterwards is not the point
        torch.export.load(altered)
    assert mark.exists()


def pickled_weight(members: dict[str, bytes]) -> None:
    name = "program/data/weights/model_weights_config.json"
    config = json.loads(members[name])
    config["config"]["0.weight"]["use_pickle"] = True
    members[name] = json.dumps(config).encode()


def first_node(model: dict[str, Any]) -> dict[str, Any]:
    return model["graph_module"]["graph"]["nodes"][0]  # type: ignore[no-any-return]


def call(target: str) -> Callable[[dict[str, bytes]], None]:
    return in_model(lambda model: first_node(model).update(target=target))


def size(text: str) -> Callable[[dict[str, bytes]], None]:
    def change(model: dict[str, Any]) -> None:
        sizes = model["graph_module"]["graph"]["tensor_values"]["input"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = text

    return in_model(change)


def tree(text: str) -> Callable[[dict[str, bytes]], None]:
    def change(model: dict[str, Any]) -> None:
        signature = model["graph_module"]["module_call_graph"][0]["signature"]
        signature["out_spec"] = json.dumps([1, json.loads(text)])

    return in_model(change)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (pickled_weight, "'0.weight' is pickled"),
        (lambda members: members.update({"program/data/weights/model.pt": b""}), "it holds 'data/weights/model.pt'"),
        (lambda members: members.update({"program/data/constants/custom_obj_0": b""}), "custom_obj_0"),
        (lambda members: members.update({"program/data/aotinductor/model/x.so": b""}), "aotinductor"),
        (call("torch.os.system"), "it calls 'torch.os.system'"),
        (call("torch.ops.aten.from_file.default"), "from_file"),
        (call("torch.ops.mine.run.default"), "it calls 'torch.ops.mine.run.default'"),
        (call("_operator.attrgetter"), "attrgetter"),
        (size("__import__('os').system('true')"), "its expr_str is"),
        (size("open(s0)"), "its expr_str is"),
        (size("Symbol('s0').func.__class__"), "its expr_str is"),
        (tree('{"type": "collections.defaultdict", "context": {}, "children_spec": []}'), "its out_spec is"),
        (tree('{"type": "builtins.dict", "context": "[{\\"__enum__\\": 1}]", "children_spec": []}'), "its out_spec is"),
        (in_model(lambda model: first_node(model).update(name="x = print(1)")), "its name is 'x = print(1)'"),
    ],
)
def test_what_might_run_is_refused(
    original: tuple[nn.Module, Path], tmp_path: Path, change: Callable[[dict[str, bytes]], None], reason: str
) -> None:
    with pytest.raises(UsageError) as error:
        load_program(alter(original[1], tmp_path / "altered.pt2", change))
    assert reason in str(error.value)
    assert "without the risk of running code" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + 18 * b"\0"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.pt2"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"damaged\.pt2 cannot be loaded"):
        load_program(path)
