"""Digests of the code of plugins: a changed plugin must not be answered with results of its former self."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from robench.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable


def digest_code(module: str) -> str:
    """Digest the Python files that belong to a module.

    Args:
        module: Dotted name of an importable module.

    Returns:
        SHA-256, as hexadecimal text, over relative path and content of all ``*.py`` files of the top-level package, or
        over the file of a single module. Below a namespace package, which many distributions may share, the first
        regular package counts.

    Raises:
        PluginError: If the module has no files, or they cannot be read.
    """
    return _digest(module, _files)


def digest_package(package: str) -> str:
    """Digest all Python files of one package, as ``digest_code`` does, but not those of the packages above it.

    Args:
        package: Dotted name of an importable package.

    Raises:
        PluginError: If the package has no files, or they cannot be read.
    """
    return _digest(package, _package_files)


def _digest(module: str, find: Callable[[str], list[tuple[str, Path]]]) -> str:
    digest = hashlib.sha256()
    try:
        for name, file in find(module):
            content = file.read_bytes()
            # The length keeps the border between two files from moving.
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
    except (OSError, ImportError, ValueError) as error:
        message = f"the code of {module} cannot be read: {error}"
        raise PluginError(message) from error
    return digest.hexdigest()


def _files(module: str) -> list[tuple[str, Path]]:
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        spec = importlib.util.find_spec(".".join(parts[:depth]))
        if spec is None or not spec.has_location or spec.origin is None:
            continue
        origin = Path(spec.origin)
        if spec.submodule_search_locations is None:
            return [(origin.name, origin)]
        return _below(origin.parent)
    message = f"{module} has no files"
    raise PluginError(message)


def _package_files(package: str) -> list[tuple[str, Path]]:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None or spec.submodule_search_locations is None:
        message = f"{package} is no package with files"
        raise PluginError(message)
    return _below(Path(spec.origin).parent)


def _below(folder: Path) -> list[tuple[str, Path]]:
    return sorted((file.relative_to(folder).as_posix(), file) for file in folder.rglob("*.py"))
