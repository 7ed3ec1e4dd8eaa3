"""Classifiers out of a user's own files, defended and told apart."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file

from robench.config.request import Overrides
from robench.engine.progress import Silent
from robench.errors import RobenchError, UsageError
from robench.session.replay import Wanted
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from robench.api.records import Cell, RunSummary
    from tests.conftest import ToyLab

MODEL = """
import torch
from torch import nn

class Bars(nn.Module):
    '''How bright each pair of rows is.'''

    def __init__(self, scale):
        super().__init__()
        self.scale = nn.Parameter(torch.full((4,), scale))

    def forward(self, images):
        return self.scale * images.unflatten(2, (4, 2)).mean((1, 3, 4))

def build(shape, classes):
    return Bars(10.0)

def dim():
    return Bars(5.0)
"""
DOCUMENT = Path(__file__).parents[2] / "docs" / "classifiers.md"


@pytest.fixture
def model(lab: ToyLab) -> Path:
    path = lab.folder / "model.py"
    path.write_text(MODEL)
    return path


def run(lab: ToyLab, classifier: str, **changes: Any) -> RunSummary:
    settings: dict[str, Any] = {"attacks": ("fgsm",), "epsilons": "0.1", "defenses": ("none", "toy-detect"), **changes}
    return lab.run(classifier=classifier, **settings)


def cells(lab: ToyLab, summary: RunSummary) -> list[Cell]:
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        return [count.cell for count in store.counts(summary.run.id)]


class Notes(Silent):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_function_that_returns_no_module_is_named_with_its_file(lab: ToyLab, model: Path, weighted: bool) -> None:
    model.write_text("def build(shape, classes):\n    return 3\n")
    weights = lab.folder / "weights.safetensors"
    save_file({"scale": torch.ones(4)}, weights)
    with pytest.raises(UsageError, match=re.escape(f"{model}: build returned int; return a torch.nn.Module")):
        run(lab, f"{model}:build", classifier_weights=str(weights) if weighted else None)


def test_a_classifier_of_a_file_is_defended_and_named_without_its_folder(lab: ToyLab, model: Path) -> None:
    notes = Notes()
    summary = run(lab, f"{model}:build", progress=notes)
    assert summary.complete
    assert summary.run.classifier == "model.py:build"
    assert summary.clean[0].accuracy > 0.9
    assert notes.texts[0].startswith("classifier model.py:build: ")
    assert "warning" not in "".join(notes.texts)
    assert str(lab.folder) not in summary.run.details
    assert "--classifier model.py:build" in str(summary.details["replay"])


def test_the_same_file_in_another_folder_is_the_same_run_and_another_code_is_another(lab: ToyLab, model: Path) -> None:
    first = run(lab, f"{model}:build")
    (lab.folder / "elsewhere").mkdir()
    moved = lab.folder / "elsewhere" / "model.py"
    moved.write_text(MODEL)
    assert run(lab, f"{moved}:build").run.id == first.run.id
    moved.write_text(MODEL.replace(".mean(", ".amax("))
    changed = run(lab, f"{moved}:build")
    assert changed.run.id != first.run.id
    pairs = list(zip(cells(lab, first), cells(lab, changed), strict=True))
    assert all(one.classifier_digest == other.classifier_digest for one, other in pairs)  # the same weights
    assert all(one.subject != other.subject for one, other in pairs)


def test_other_weights_are_another_classifier_of_the_same_name(lab: ToyLab, model: Path) -> None:
    runs = []
    for number in (1.0, 20.0):
        weights = lab.folder / f"{number}.safetensors"
        save_file({"scale": torch.full((4,), number)}, weights)
        runs.append(run(lab, f"{model}:build", classifier_weights=str(weights)))
    first, second = (cells(lab, one)[0] for one in runs)
    assert first.classifier == second.classifier == "model.py:build"
    assert first.classifier_digest != second.classifier_digest
    assert f"--classifier-weights {number}.safetensors" in str(runs[1].details["replay"])


def test_a_program_is_defended_as_the_network_was(lab: ToyLab, model: Path) -> None:
    space: dict[str, Any] = {}
    exec(MODEL, space)
    shapes = ({0: torch.export.Dim("n")},)
    program = torch.export.export(space["build"](None, 4).eval(), (torch.rand(2, 1, 8, 8),), dynamic_shapes=shapes)
    torch.export.save(program, lab.folder / "model.pt2")
    exported, own = run(lab, str(lab.folder / "model.pt2")), run(lab, f"{model}:build")
    assert exported.run.classifier == "model.pt2"
    assert exported.clean == own.clean
    assert exported.results == own.results


def test_what_does_not_fit_is_refused_before_anything_is_stored(lab: ToyLab) -> None:
    path = lab.folder / "bad.py"
    path.write_text(
        "from torch import nn\n"
        "def five(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 5))\n"
        "def text(): return 'nothing'\n"
        "def fails(): return 1 / 0\n"
    )
    for name, message in (
        ("five", r"of shape \(3, 5\); this data set needs float32 of shape \(3, 4\)"),
        ("text", r"bad\.py: text returned str; return a torch\.nn\.Module"),
        ("fails", r"bad\.py:fails cannot be built: ZeroDivisionError"),
        ("none", "has no function"),
    ):
        with pytest.raises(UsageError, match=message):
            run(lab, f"{path}:{name}")
    assert not (lab.folder / "toys.db").exists()


def test_a_training_has_nothing_to_do_for_it(lab: ToyLab, model: Path) -> None:
    session = lab.session()
    overrides = lab.overrides(classifier=f"{model}:build", defenses=("none",))
    assert session.train(session.resolve(overrides, attacking=False)) == []


@pytest.mark.parametrize("uses", [True, False])
def test_networks_trained_around_it_are_kept_apart_by_its_code(tmp_path: Path, uses: bool) -> None:
    from torch import nn

    from robench.api import Network, Recipe
    from robench.engine.data import LoadedSplit
    from robench.engine.progress import Silent
    from robench.engine.weights import WeightCache

    images = torch.rand(8, 1, 2, 2).numpy()
    split = LoadedSplit(images=images, labels=torch.zeros(8, dtype=torch.int64).numpy(), digest="d")
    network = Network(
        name="mean",
        build=lambda: nn.Linear(4, 1),
        loss=lambda module, batch, labels: {"loss": module(batch.flatten(1)).square().mean()},
        recipe=Recipe(epochs=1, batch_size=8),
        uses_classifier=uses,
    )
    folders = [
        WeightCache(tmp_path)
        .obtain(
            network,
            split,
            split,
            dataset="x",
            seed=0,
            device=torch.device("cpu"),
            classifier=nn.Flatten() if uses else None,
            classifier_code=code,
            origin={},
            progress=Silent(),
        )
        .folder
        for code in ("", "1", "2")
    ]
    assert len(set(folders)) == (3 if uses else 1)


def test_kept_examples_are_replayed_on_the_classifier_that_is_named_again(lab: ToyLab, model: Path) -> None:
    run(lab, f"{model}:build", keep_examples=True)
    db = str(lab.folder / "toys.db")

    def replay(classifier: str | None) -> object:
        return lab.session().replay(Wanted(), Overrides(defenses=("none",), db=db, classifier=classifier)).unchanged

    assert replay(f"{model}:build") is True
    with pytest.raises(UsageError, match=r"--classifier: there is no file"):
        replay(None)
    with pytest.raises(RobenchError, match="the classifier is not that of run"):
        replay(f"{model}:dim")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


def test_the_example_of_the_guide_works(lab: ToyLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab.folder)
    code, saving, exporting = blocks("python")
    Path("models").mkdir()
    Path("models/model.py").write_text(code)
    space: dict[str, Any] = {}
    exec(code, space)
    space["model"] = space["build"]((1, 8, 8), 4)
    exec(saving.replace("model.safetensors", "models/model.safetensors"), space)
    exec(exporting.replace("1, 28, 28", "1, 8, 8"), space)
    (table,) = blocks("toml")
    config = f"schema = 1\n{table.replace('mnist', 'toy-bars')}epsilons = [0.1]\n"
    Path("benchmarks.toml").write_text(config)
    changes: dict[str, Any] = {"defenses": ("none",), "attacks": ("fgsm",), "epsilons": None}
    by_file = lab.run(classifier=None, **changes)
    exported = lab.run(classifier="model.pt2", **changes)
    assert by_file.run.classifier == "model.py:build"
    assert by_file.clean == exported.clean
    assert json.loads(by_file.run.details)["classifier"]["plugin"] == "model.py:build"
