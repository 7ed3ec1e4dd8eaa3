"""Write a new plugin: a distribution with a short working example, to be changed into what one wants."""

from __future__ import annotations

import importlib.util
import keyword
from importlib import resources
from typing import TYPE_CHECKING

from robench.errors import RobenchError, UsageError
from robench.registry.loader import is_installed
from robench.registry.validation import RESERVED, is_kebab_case

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from robench.registry.catalog import Catalog
    from robench.registry.validation import Kind

_TEMPLATES = "templates"
_LEFT_BEHIND = ("__pycache__",)


def write_plugin(kind: Kind, name: str, into: Path, catalog: Catalog) -> Path:
    """Write a distribution that offers one working thing of a kind.

    Args:
        kind: What it offers.
        name: Of the distribution, the entry point and what it offers; its module is the same with underscores.
        into: The folder that gets the folder ``name``; made if it is not there.
        catalog: What is offered already.

    Returns:
        The folder of the distribution.

    Raises:
        UsageError: If the name cannot be used or is taken, or its folder is there already.
        RobenchError: If the files cannot be written.
    """
    _check_name(name, catalog)
    folder = into / name
    try:
        folder.mkdir(parents=True)
        for path, text in _files(kind, name):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except FileExistsError as error:
        message = f"{error.filename} is there already"
        raise UsageError(message, "take another name, or another folder with --into") from error
    except OSError as error:
        message = f"{error.filename or folder}: {error.strerror or error}"
        raise RobenchError(message, "choose a folder that can be written with --into") from error
    return folder


def _check_name(name: str, catalog: Catalog) -> None:
    """Raise ``UsageError`` unless a plugin, its module and its distribution can have this name."""
    if not is_kebab_case(name) or name[0].isdigit():
        message = f'"{name}" cannot be the name of a plugin'
        raise UsageError(message, 'use kebab-case that begins with a letter, such as "my-name2"')
    if keyword.iskeyword(name):
        message = f'"{name}" is a keyword of Python, which its module cannot be called'
        raise UsageError(message, "take another name")
    if name in RESERVED:
        message = f'"{name}" is reserved for what robench records under it'
        raise UsageError(message, "take another name")
    for kind, names in catalog.names().items():
        if name in names:
            entry = getattr(catalog, kind)(name)
            message = f'the {kind} "{name}" is already offered by {entry.distribution} {entry.version}'
            raise UsageError(message, "take another name")
    module = _module(name)
    if importlib.util.find_spec(module) is not None or is_installed(name):
        message = f'"{name}" would hide what is installed under this name'
        raise UsageError(message, "take another name")


def _files(kind: Kind, name: str) -> Iterator[tuple[str, str]]:
    """Return paths and texts. The templates are working plugins called ``my-KIND``; only the name is replaced."""
    for path, file in _walk(resources.files("robench.registry") / _TEMPLATES / kind):
        text = file.read_text(encoding="utf-8")
        yield _renamed(path, kind, name), _renamed(text, kind, name)


def _walk(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_file():
            yield above + item.name, item
        elif item.name not in _LEFT_BEHIND:
            yield from _walk(item, f"{above}{item.name}/")


def _renamed(text: str, kind: Kind, name: str) -> str:
    title = "".join(word.capitalize() for word in name.split("-"))
    pairs = ((f"my-{kind}", name), (f"my_{kind}", _module(name)), (f"My{kind.capitalize()}", title))
    for old, new in pairs:
        text = text.replace(old, new)
    return text


def _module(name: str) -> str:
    return name.replace("-", "_")
