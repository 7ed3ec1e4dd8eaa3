"""docs/writing-plugins.md does what it says: every block is written, installed and run in the order of the page."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

import pytest

from tests.installed.conftest import ROOT, THIRD_PARTY, make_environment

PAGE = ROOT / "docs" / "writing-plugins.md"
_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    language: str
    file: str
    text: str


def blocks() -> list[Block]:
    return [Block(*match.groups(default="")) for match in _BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def test_every_fence_is_understood() -> None:
    assert PAGE.read_text(encoding="utf-8").count("```") == 2 * len(blocks())
    assert {block.language for block in blocks()} == {"toml", "python", "console"}


def test_the_first_defense_has_at_most_forty_lines() -> None:
    (defense,) = (block for block in blocks() if block.file == "bit-depth/bit_depth.py")
    assert len(defense.text.splitlines()) <= 40


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial_runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    environment = make_environment(tmp_path_factory.mktemp("tutorial"))
    environment.install(ROOT, THIRD_PARTY / "toys")
    # Where the page leaves the data set open, a reader gets MNIST and a test something that trains in a second.
    toys = {"ROBENCH_DATASET": "toy-bars", "ROBENCH_CLASSIFIER": "toy-linear", "ROBENCH_DEVICE": "cpu"}
    shown: dict[str, str] = {}
    for block in blocks():
        if block.file:
            file = environment.folder / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            result = environment.run("python", "-c", block.text)
            assert result.returncode == 0, result.stderr
        for line in block.text.splitlines() if block.language == "console" else ():
            assert line.startswith("$ ")
            result = environment.run(*shlex.split(line[2:]), **toys)
            assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"
            shown.setdefault(line, result.stdout)
    assert "bit-depth" in shown["$ robench plugins list"]
    assert re.search(r"attack +none +bit-depth", shown["$ robench report"])
    assert re.search(r"bits.*3", shown["$ robench plugins show bit-depth"])
