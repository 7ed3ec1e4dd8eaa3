"""A user's own Python file: run as it is, with the files beside it, and known by the code of all of them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from robench.api import ClassifierSpec, NoParameters, PluginError, UsageError
from robench.registry.code import digest_script
from robench.registry.script import call_with, load_function
from robench.registry.validation import check_spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARGUMENTS = {"shape": (1, 2, 3), "classes": 4}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_changed_file_is_run_as_it_is_now_however_fast_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    for number in (1, 2):
        write(path, f"def build(): return {number}")
        os.utime(path, (1, 1))
        assert load_function(path, "build")() == number


def test_files_beside_it_are_imported_and_those_of_another_folder_are_not_taken_for_them(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write(tmp_path / name / "layers.py", f"NAME = {name!r}")
        path = write(tmp_path / name / "model.py", "import layers\ndef build(): return layers.NAME")
        assert load_function(path, "build")() == name
    assert "layers" not in sys.modules
    assert not any(str(tmp_path) in entry for entry in sys.path)


def test_dataclasses_with_postponed_types_work(tmp_path: Path) -> None:
    imports = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    text = f"{imports}@dataclass\nclass Build:\n    x: int = 3"
    assert load_function(write(tmp_path / "model.py", text), "Build")().x == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def bulid(): pass", 'has no function "build"; did you mean "bulid"?'),
        ("build = 3", 'has no function "build"'),
        ("def build(:", "cannot be loaded: SyntaxError"),
        ("import a_module_that_nobody_has", "cannot be loaded: ModuleNotFoundError"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("raise SystemExit(3)", "cannot be loaded: SystemExit"),
    ],
)
def test_a_file_that_cannot_be_run_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        load_function(write(tmp_path / "model.py", text), "build")
    assert message in str(error.value)
    assert "model.py" in str(error.value)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda shape, classes: (shape, classes), ((1, 2, 3), 4)),
        (lambda classes, shape: (shape, classes), ((1, 2, 3), 4)),
        (lambda classes: classes, 4),
        (lambda *, shape: shape, (1, 2, 3)),
        (lambda: 5, 5),
        (lambda width=3, *rest, **more: (width, rest, more), (3, (), {})),
        (lambda size, count: (size, count), ((1, 2, 3), 4)),
        (lambda size, count, /: (size, count), ((1, 2, 3), 4)),
    ],
)
def test_a_function_gets_what_it_takes(function: Callable[..., object], expected: object) -> None:
    assert call_with(function, ARGUMENTS, "model.py:build") == expected


@pytest.mark.parametrize("function", [lambda x: x, lambda shape, x: x, lambda x, y, z: x, lambda *, x, y: x])
def test_a_function_that_takes_something_else_is_refused(function: Callable[..., object]) -> None:
    with pytest.raises(UsageError, match=r"model\.py:build takes \(.*let it take \(shape, classes\), or nothing"):
        call_with(function, ARGUMENTS, "model.py:build")


def test_the_digest_covers_the_file_and_what_it_imports_from_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a" / "model.py", "import torch\nfrom parts import layers\ndef build(): import late")
    write(tmp_path / "a" / "parts" / "layers.py", "x = 1")
    write(tmp_path / "a" / "stranger.py", "x = 1")
    digests = [digest_script(path)]
    for name in ("parts/layers.py", "late.py", "model.py"):
        write(tmp_path / "a" / name, f"import torch\nfrom parts import layers\nimport late  # {name}")
        digests.append(digest_script(path))
    assert len(set(digests)) == 4
    write(tmp_path / "a" / "stranger.py", "x = 2")
    assert digest_script(path) == digests[-1]


def test_the_digest_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    paths = [write(tmp_path / name / "model.py", "def build(): pass") for name in ("a", "b")]
    assert digest_script(paths[0]) == digest_script(paths[1])


def test_a_classifier_is_trained_or_comes_trained() -> None:
    def spec(**fields: object) -> ClassifierSpec[NoParameters]:
        return ClassifierSpec(name="x", summary="", source="", parameters=NoParameters, **fields)  # type: ignore[arg-type]

    for fields in ({"network": print}, {"module": print}):
        offered = spec(**fields)
        assert check_spec("classifier", offered) is offered
    with pytest.raises(PluginError, match="has neither of network and module"):
        check_spec("classifier", spec())
    with pytest.raises(PluginError, match="has both of network and module"):
        check_spec("classifier", spec(network=print, module=print))
