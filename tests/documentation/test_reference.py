"""The plugin interface is documented, and nothing in it is untested."""

from __future__ import annotations

import dataclasses
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

import robench.api
from robench.api import contexts, records, specs, target, training
from tests.documentation.reference import PAGE, render, split_attributes

TESTS = Path(__file__).parents[1]
CLASSES = [
    item
    for module in (specs, contexts, target, training, robench.api.data, records)
    for item in vars(module).values()
    if dataclasses.is_dataclass(item) and isinstance(item, type) and item.__module__ == module.__name__
]
FIELDS = [(item, field.name) for item in CLASSES for field in dataclasses.fields(item)]


@cache
def sources() -> str:
    """Everything that tests say: they, the plugins that they install, and the tutorial that they run."""
    files = [file for file in TESTS.rglob("*.py") if file.parent != Path(__file__).parent]
    files += [PAGE.parent / "writing-plugins.md", *Path(robench.__file__).parent.glob("registry/templates/**/*.py")]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def test_the_reference_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run `make docs`"


@pytest.mark.parametrize("name", robench.api.__all__)
def test_every_name_is_in_the_reference(name: str) -> None:
    assert re.search(rf"^### {name}$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", robench.api.__all__)
def test_every_name_is_used_by_a_test(name: str) -> None:
    assert re.search(rf"\b{name}\b", sources())


@pytest.mark.parametrize(("item", "name"), FIELDS, ids=[f"{item.__name__}.{name}" for item, name in FIELDS])
def test_every_field_is_documented(item: type, name: str) -> None:
    prose, described = split_attributes(inspect.getdoc(item) or "")
    # Rows of reports are few and named for what they are; their docstring is prose.
    assert described.get(name) or (item.__name__.endswith("Row") and prose)


@pytest.mark.parametrize(("item", "name"), FIELDS, ids=[f"{item.__name__}.{name}" for item, name in FIELDS])
def test_every_field_is_used_by_a_test(item: type, name: str) -> None:
    assert re.search(rf"""(\.{name}\b|\b{name}=|["']{name}["'])""", sources())
