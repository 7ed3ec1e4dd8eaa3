"""Which classifier is a file, which file may be one, and where its path counts from."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import IO, Any

import pytest

from robench.config import ConfigSource, Overrides, RunRequest, resolve_run
from robench.config.file import parse_config
from robench.errors import UsageError

KNOWN = {
    "dataset": ("mnist",),
    "classifier": ("paper-a", "mine"),
    "defense": ("none", "magnet", "puvae", "puvae-detect"),
    "attack": ("fgsm", "pgd", "adaptive"),
}


def resolve(folder: Path, text: str = "", environ: dict[str, str] | None = None, **flags: str) -> RunRequest:
    source = ConfigSource(path=folder / "benchmarks.toml", label="benchmarks.toml")
    config = parse_config(f"schema = 1\n{text}", source)
    return resolve_run(config, Overrides(**flags), environ or {}, KNOWN)  # type: ignore[arg-type]  # texts only here


def refusal(folder: Path, **flags: str) -> str:
    with pytest.raises(UsageError) as error:
        resolve(folder, "", {}, **flags)
    return str(error.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("model.py", "model.pt2", "weights.safetensors", "other.safetensors"):
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / name).touch()
    return tmp_path


def test_a_plugin_is_no_file(tmp_path: Path) -> None:
    assert 'unknown classifier "paper-z"' in refusal(tmp_path, classifier="paper-z")


def test_a_path_in_the_file_counts_from_its_folder(folder: Path) -> None:
    table = "[datasets.mnist]\nclassifier = 'models/model.py:build'\nclassifier_weights = 'models/weights.safetensors'"
    request = resolve(folder, table)
    assert request.classifier == "model.py:build"
    assert request.classifier_file is not None
    assert request.classifier_file.path == folder / "models" / "model.py"
    assert request.classifier_file.function == "build"
    assert request.classifier_file.weights == folder / "models" / "weights.safetensors"


def test_a_path_on_the_command_line_counts_from_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "models")
    request = resolve(folder, classifier="model.pt2")
    assert (request.classifier, request.parameters) == ("model.pt2", {})
    assert request.classifier_file is not None
    assert request.classifier_file.path == folder / "models" / "model.pt2"
    by_variable = resolve(folder, environ={"ROBENCH_CLASSIFIER": "model.pt2"})
    assert by_variable.classifier_file == request.classifier_file


def test_weights_belong_to_the_classifier_of_their_source(folder: Path) -> None:
    table = "[datasets.mnist]\nclassifier = 'models/model.py:build'\nclassifier_weights = 'models/weights.safetensors'"
    other = resolve(folder, table, classifier=str(folder / "models" / "model.py:other"))
    assert other.classifier_file is not None
    assert other.classifier_file.weights is None
    swapped = resolve(folder, table, classifier_weights=str(folder / "models" / "other.safetensors"))
    assert swapped.classifier_file is not None
    assert swapped.classifier_file.weights == folder / "models" / "other.safetensors"
    assert resolve(folder, table, classifier="mine").classifier_file is None


@pytest.mark.parametrize(
    ("flags", "messages"),
    [
        ({"classifier": "nowhere/model.py:build"}, ("--classifier: there is no file", "nowhere/model.py")),
        ({"classifier": "model.py"}, ("does not say which function", "write model.py:build")),
        ({"classifier": "model.py:"}, ("is neither a plugin nor a file",)),
        ({"classifier": "model.onnx"}, ("is neither a plugin nor a file that can be loaded",)),
        ({"classifier": "w.safetensors"}, ("holds weights, but not the network", "--classifier-weights w.safetensors")),
        *(
            ({"classifier": f"model{suffix}"}, ("is a pickle", "runs whatever code", "save_model(model"))
            for suffix in (".pt", ".pth", ".pkl", ".ckpt", ".bin")
        ),
        ({"classifier_weights": "w.safetensors"}, ("--classifier-weights: classifier paper-a is a plugin",)),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_the_mend(
    tmp_path: Path, flags: dict[str, str], messages: tuple[str, ...]
) -> None:
    complaint = refusal(tmp_path, **flags)
    assert all(message in complaint for message in messages), complaint


def test_weights_that_do_not_go_with_the_classifier_are_refused(folder: Path) -> None:
    models = folder / "models"
    for classifier, weights, message in (
        ("model.pt2", "weights.safetensors", "--classifier-weights: model.pt2 holds its weights already"),
        ("model.py:build", "weights.pth", "is a pickle"),
        ("model.py:build", "weights.npz", "is no .safetensors file"),
        ("model.py:build", "none.safetensors", "there is no file"),
    ):
        complaint = refusal(folder, classifier=str(models / classifier), classifier_weights=str(models / weights))
        assert message in complaint


@pytest.mark.parametrize(
    ("name", "weights", "flag"),
    [
        ("model.pt2", None, "--classifier"),
        ("model.py:build", None, "--classifier"),
        ("model.py:build", "weights.safetensors", "--classifier-weights"),
    ],
)
def test_a_file_that_may_not_be_read_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, weights: str | None, flag: str
) -> None:
    barred = folder / "models" / (weights or name.partition(":")[0])
    open_file = Path.open

    def refuse(path: Path, mode: str = "r") -> IO[Any]:  # the tests may run as root, who may read everything
        if path == barred:
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_file(path, mode)

    monkeypatch.setattr(Path, "open", refuse)
    chosen = {"classifier": str(folder / "models" / name)}
    if weights is not None:
        chosen["classifier_weights"] = str(folder / "models" / weights)
    complaint = refusal(folder, **chosen)
    assert complaint.startswith(f"{flag}: ")
    assert complaint.endswith(" cannot be read: Permission denied; look at its permissions")
