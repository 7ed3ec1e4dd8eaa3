"""``robench plugins new``."""

from __future__ import annotations

import shlex
import tomllib
from typing import TYPE_CHECKING

import pytest

from robench.config import Overrides, load_config, resolve_run
from robench.config.location import packaged_source

if TYPE_CHECKING:
    from tests.cli.conftest import Program


def _run_line(text: str) -> list[str]:
    (line,) = [line.strip() for line in text.splitlines() if line.startswith("    robench run ")]
    return shlex.split(line)


def test_the_run_of_a_new_data_set_lacks_nothing(program: Program) -> None:
    done = program("plugins", "new", "dataset", "acme-bars")
    assert done.returncode == 0, done.stderr
    words = _run_line(done.stdout)
    assert _run_line((program.folder / "acme-bars" / "README.md").read_text()) == words
    flags = dict(zip(words[2::2], words[3::2], strict=True))
    overrides = Overrides(
        dataset=flags["--dataset"], classifier=flags["--classifier"], epsilons=flags["--epsilons"], defenses=("none",)
    )
    known = {
        "dataset": ("acme-bars",),
        "classifier": ("paper-a",),
        "defense": ("none",),
        "attack": ("fgsm", "pgd", "adaptive"),
    }
    request = resolve_run(load_config(packaged_source()), overrides, {}, known)
    assert (request.dataset, request.epsilons) == ("acme-bars", ("0.1", "0.2"))


@pytest.mark.parametrize("kind", ["defense", "attack", "dataset", "classifier"])
def test_what_runs_the_tests_of_a_new_plugin_comes_with_an_extra(program: Program, kind: str) -> None:
    assert program("plugins", "new", kind, f"acme-{kind}").returncode == 0
    folder = program.folder / f"acme-{kind}"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"] == {"test": ["pytest"]}
    assert "`pip install -e '.[test]'`" in (folder / "README.md").read_text()
