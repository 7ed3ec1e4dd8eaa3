"""Looking things up by name, and digests of the code behind them."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

import pytest

from robench.errors import PluginError, UsageError
from robench.registry import Catalog, load_catalog
from robench.registry.code import digest_code

if TYPE_CHECKING:
    from pathlib import Path

    from tests.registry.conftest import Installer


@pytest.fixture
def catalog(install: Installer) -> Catalog:
    install.defense("acme", "puvae")
    return load_catalog({})


def test_a_misspelt_name_gets_a_suggestion(catalog: Catalog) -> None:
    with pytest.raises(UsageError) as error:
        catalog.defense("puvea")
    assert str(error.value) == 'unknown defense "puvea"; did you mean "puvae"?'


def test_a_strange_name_gets_the_known_ones(catalog: Catalog) -> None:
    with pytest.raises(UsageError) as error:
        catalog.defense("xyz")
    assert str(error.value) == 'unknown defense "xyz"; known: built-in, puvae'


@pytest.mark.parametrize("kind", ["dataset", "classifier", "attack"])
def test_an_empty_kind_is_said_to_be_empty(catalog: Catalog, kind: str) -> None:
    with pytest.raises(UsageError) as error:
        getattr(catalog, kind)("x")
    assert str(error.value) == f'unknown {kind} "x"; there is none'


def test_failed_plugins_are_mentioned_when_a_name_is_unknown(install: Installer) -> None:
    install.plugin("acme", "1 / 0")
    with pytest.raises(UsageError, match="failed to load: 1, see `robench plugins list`"):
        load_catalog({}).defense("acme")


def test_the_catalog_cannot_be_changed(catalog: Catalog) -> None:
    with pytest.raises(TypeError):
        catalog.defenses["x"] = catalog.defense("puvae")  # type: ignore[index]  # that is the point
    with pytest.raises(dataclasses.FrozenInstanceError):
        catalog.failures = ()  # type: ignore[misc]  # that is the point


def test_a_change_of_any_file_of_the_package_changes_the_digest(install: Installer, tmp_path: Path) -> None:
    install.defense("acme", "acme", module="acme_package.deep.plugin")
    for folder in ("acme_package", "acme_package/deep"):
        (tmp_path / folder / "__init__.py").touch()
    neighbour = tmp_path / "acme_package" / "helper.py"
    neighbour.write_text("x = 1\n")
    entry = load_catalog({}).defense("acme")
    first = entry.code_digest()
    assert first == entry.code_digest()
    neighbour.write_text("x = 2\n")
    second = entry.code_digest()
    neighbour.rename(neighbour.with_name("renamed.py"))
    third = entry.code_digest()
    (tmp_path / "acme_package" / "data.txt").write_text("no code")
    assert len({first, second, third}) == 3
    assert entry.code_digest() == third


def test_a_neighbour_in_a_namespace_package_does_not_change_the_digest(install: Installer, tmp_path: Path) -> None:
    install.defense("acme", "acme", module="shared_space.acme_plugin")
    entry = load_catalog({}).defense("acme")
    digest = entry.code_digest()
    (tmp_path / "shared_space" / "foreign.py").write_text("x = 1\n")
    assert entry.code_digest() == digest
    (tmp_path / "shared_space" / "acme_plugin.py").write_text("x = 1\n")
    assert entry.code_digest() != digest


def test_a_module_without_files_is_refused() -> None:
    with pytest.raises(PluginError, match="sys has no files"):
        digest_code("sys")
    with pytest.raises(PluginError, match="cannot be read"):
        digest_code("no_such_package.module")


def test_a_digest_is_fast() -> None:
    digest_code("robench")
    start = time.perf_counter()
    digest_code("robench")
    # 20 ms on an idle machine; the rest is for a busy one.
    assert time.perf_counter() - start < 0.2
