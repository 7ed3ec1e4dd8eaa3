"""Digests of the code of plugins: a changed plugin must not be answered with results of its former self."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from robench.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def digest_code(module: str, within: str = "") -> str:
    """Digest the Python files that a module runs: its own and those it imports, in functions too, one by another.

    What it imports for type checkers only does not run, and what it imports from other distributions has versions of
    its own. Code that is found by other means than an import statement is not seen.

    Args:
        module: Dotted name of an importable module.
        within: The package whose modules count; the top-level one of ``module`` by default.

    Returns:
        SHA-256, as hexadecimal text, over the names and contents of the files.

    Raises:
        PluginError: If the module has no file, or one of the files cannot be read.
    """
    prefix = within or module.partition(".")[0]
    return _digest(module, lambda name: _file_of(name) if _belongs(name, prefix) else None)


def digest_script(path: Path) -> str:
    """Digest a Python file that is in no package, and the files beside it that it imports, one by another.

    Args:
        path: The file.

    Returns:
        SHA-256, as hexadecimal text, over the names and contents of the files, whatever folder they are in.

    Raises:
        PluginError: If one of the files cannot be read.
    """
    return _digest(path.stem, lambda name: path if name == path.stem else _file_in((path.parent,), name.split(".")))


def _digest(module: str, file_of: Callable[[str], Path | None]) -> str:
    files: dict[str, Path] = {}
    pending = [module]
    digest = hashlib.sha256()
    try:
        while pending:
            name = pending.pop()
            path = file_of(name)
            if path is None or name in files:
                continue
            files[name] = path
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            pending += [package, *_imports(ast.parse(path.read_bytes()), package)]
        for name, path in sorted(files.items()):
            content = path.read_bytes()
            # The length keeps the border between two files from moving.
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
    except (OSError, ImportError, ValueError, SyntaxError) as error:
        message = f"the code of {module} cannot be read: {error}"
        raise PluginError(message) from error
    if module not in files:
        message = f"{module} has no files"
        raise PluginError(message)
    return digest.hexdigest()


def _belongs(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def _file_of(name: str) -> Path | None:
    """Return the source file of a module without importing anything; None for what has none, such as a namespace."""
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top) if top else None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.has_location and spec.origin and spec.origin.endswith(".py") else None
    return _file_in(spec.submodule_search_locations or (), rest)


def _file_in(folders: Iterable[str | Path], names: list[str]) -> Path | None:
    """Return the source file of a module below one of some folders."""
    for folder in folders:
        path = Path(folder, *names)
        for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if file.is_file():
                return file
    return None


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """List the names that may be modules among all that a file imports when it runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for otherwise in node.orelse:
                yield from _imports(otherwise, package)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        yield from _imports(node, package)
