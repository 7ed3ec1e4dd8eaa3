"""Looking things up by name, and digests of the code behind them."""

from __future__ import annotations

import dataclasses
import importlib
import time
from typing import TYPE_CHECKING

import pytest

from robench.errors import PluginError, UsageError
from robench.registry import Catalog, load_catalog
from robench.registry.code import digest_code

if TYPE_CHECKING:
    from collections.abc import Callable
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


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Writes files of a package that can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        importlib.invalidate_caches()

    return write


def test_what_a_module_imports_counts_and_its_neighbours_do_not(
    tmp_path: Path, code: Callable[[str, str], None]
) -> None:
    code("acme_code/__init__.py", "")
    code("acme_code/plugin.py", "def build():\n    from acme_code import _torch\n    return _torch\n")
    code("acme_code/_torch.py", "from .deep.layers import layer\nimport json\n")
    code("acme_code/deep/__init__.py", "")
    code("acme_code/deep/layers.py", "from .. import _torch\nlayer = 1\n")
    code("acme_code/neighbour.py", "x = 1\n")
    digest = digest_code("acme_code.plugin")
    assert digest == digest_code("acme_code.plugin")
    code("acme_code/neighbour.py", "x = 2\n")
    code("acme_code/data.txt", "no code")
    assert digest_code("acme_code.plugin") == digest
    digests = {digest}
    for name in ("plugin.py", "_torch.py", "deep/layers.py", "__init__.py", "deep/__init__.py"):
        path = tmp_path / "acme_code" / name
        code(f"acme_code/{name}", "# changed\n" + path.read_text())
        digests.add(digest_code("acme_code.plugin"))
    assert len(digests) == 6


def test_imports_for_type_checkers_do_not_count(code: Callable[[str, str], None]) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from acme_types.other import X\n"
    code("acme_types/__init__.py", "")
    code("acme_types/plugin.py", text)
    code("acme_types/other.py", "X = int\n")
    digest = digest_code("acme_types.plugin")
    code("acme_types/other.py", "X = str\n")
    assert digest_code("acme_types.plugin") == digest


def test_a_package_can_be_the_border(code: Callable[[str, str], None]) -> None:
    code("acme_border/__init__.py", "")
    code("acme_border/outside.py", "x = 1\n")
    code("acme_border/inside/__init__.py", "")
    code("acme_border/inside/run.py", "from acme_border import outside\n")
    digest = digest_code("acme_border.inside.run", "acme_border.inside")
    code("acme_border/outside.py", "x = 2\n")
    assert digest_code("acme_border.inside.run", "acme_border.inside") == digest


def test_each_built_in_has_a_digest_of_its_own() -> None:
    catalog = load_catalog({"ROBENCH_DISABLE_PLUGINS": "1"})
    digests = [catalog.defense(name).code_digest() for name in ("none", "magnet", "puvae")]
    assert len(set(digests)) == 3
    assert catalog.defense("puvae-detect").code_digest() == digests[2]


def test_a_module_without_files_is_refused() -> None:
    with pytest.raises(PluginError, match="sys has no files"):
        digest_code("sys")
    with pytest.raises(PluginError, match=r"no_such_package\.module has no files"):
        digest_code("no_such_package.module")


def test_code_that_cannot_be_parsed_is_refused(code: Callable[[str, str], None]) -> None:
    code("acme_syntax.py", "def (:\n")
    with pytest.raises(PluginError, match="the code of acme_syntax cannot be read"):
        digest_code("acme_syntax")


def test_a_digest_is_fast() -> None:
    digest_code("robench")
    start = time.perf_counter()
    digest_code("robench")
    # 20 ms on an idle machine; the rest is for a busy one.
    assert time.perf_counter() - start < 0.2
