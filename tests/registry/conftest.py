"""Distributions that exist for one test: a dist-info folder and modules on a temporary ``sys.path`` entry."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Installer:
    """Makes importable plugins of the sources of their modules."""

    folder: Path

    def plugin(
        self,
        distribution: str,
        source: str,
        *,
        version: str = "1.0",
        point: str = "main",
        module: str = "",
        value: str = "",
    ) -> None:
        module = module or f"fake_{distribution.replace('-', '_').lower()}"
        file = self.folder.joinpath(*module.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(source))
        self.metadata(distribution, f"{point} = {value or module}", version=version)

    def defense(self, distribution: str, name: str, *, version: str = "1.0", module: str = "") -> None:
        """Install a good plugin with one defense."""
        spec = f"name={name!r}, summary='', source='', parameters=NoParameters, build=lambda context, networks: None"
        source = f"""
            from robench.api import DefenseSpec, NoParameters, hookimpl

            @hookimpl
            def robench_defenses():
                return [DefenseSpec({spec})]
        """
        self.plugin(distribution, source, version=version, module=module)

    def metadata(self, distribution: str, points: str, *, version: str = "1.0", folder: Path | None = None) -> None:
        info = (folder or self.folder) / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[robench]\n{points}\n")
        importlib.invalidate_caches()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installer]:
    """Return an installer; its distribution ``robench`` with one defense, ``built-in``, hides the real one."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    installer = Installer(tmp_path)
    installer.defense("robench", "built-in", version="0.1.0")
    yield installer
    for module in set(sys.modules) - before:
        del sys.modules[module]
