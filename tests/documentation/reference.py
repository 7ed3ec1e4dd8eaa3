"""Write docs/plugin-reference.md from the docstrings of robench.api; ``make docs`` runs it.

It reads the source, not the objects: only there do constants have docstrings, and fields an order and a default.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "plugin-reference.md"
SECTIONS = {
    "The interface": "api/__init__.py",
    "The marker of hooks": "api/hooks.py",
    "Hooks": "registry/hookspecs.py",
    "Specs": "api/specs.py",
    "Contexts": "api/contexts.py",
    "What a defense answers and an attack sees": "api/target.py",
    "Gradient ascent and trials": "api/ascent.py",
    "Randomness": "api/randomness.py",
    "Networks to train": "api/training.py",
    "Data": "api/data.py",
    "Errors": "errors.py",
    "Records": "api/records.py",
}
_HEAD = """# Plugin reference

Written from the docstrings by `make docs`; change those. [writing-plugins.md](writing-plugins.md) is the guide.

Everything but the hooks is imported from `robench.api`, the records from `robench.api.records`. A plugin needs none of
the records: they are what reports and stores are made of.
"""
_FIELD = re.compile(r"^ {4}(\w+(?:, \w+)*): ", re.MULTILINE)


def render() -> str:
    """Return the page."""
    parts = [_HEAD]
    for title, file in SECTIONS.items():
        tree = ast.parse((ROOT / "robench" / file).read_text(encoding="utf-8"))
        parts.append(f"## {title}\n\n{_text(ast.get_docstring(tree) or '')}\n")
        parts += _entries(tree)
    return "\n".join(parts)


def _entries(tree: ast.Module) -> Iterator[str]:
    for node, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        match node:
            case ast.ClassDef():
                yield _class(node)
            case ast.FunctionDef() if not node.name.startswith("_"):
                yield _function(node, "###")
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                match following:
                    case ast.Expr(value=ast.Constant(value=str(text))):
                        yield f"### {name}\n\n`{ast.unparse(node)}`\n\n{_text(text)}\n"


def _class(node: ast.ClassDef) -> str:
    text, fields = split_attributes(ast.get_docstring(node) or "")
    parts = [f"### {node.name}\n\n{_text(text)}\n"]
    rows = [f"| `{name}` | {kind} | {default} | {fields.get(name, '')} |" for name, kind, default in _declared(node)]
    if rows:
        parts.append("| field | type | default | is |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")
    parts += [
        _function(item, "####", owner=node.name)
        for item in node.body
        if isinstance(item, ast.FunctionDef) and (not item.name.startswith("_") or item.name == "__call__")
    ]
    return "\n".join(parts)


def _declared(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            default = "" if item.value is None else f"`{ast.unparse(item.value)}`"
            yield item.target.id, f"`{ast.unparse(item.annotation)}`".replace("|", "\\|"), default


def split_attributes(text: str) -> tuple[str, dict[str, str]]:
    """Separate a docstring from the descriptions of its attributes; one may describe several."""
    before, found, section = text.partition("Attributes:\n")
    if not found:
        return text, {}
    section, *after = re.split(r"\n(?=\S)", section, maxsplit=1)
    pieces = _FIELD.split(section)
    fields = {}
    for names, meaning in zip(pieces[1::2], pieces[2::2], strict=True):
        fields.update(dict.fromkeys(names.split(", "), _text(" ".join(meaning.split())).replace("|", "\\|")))
    return "\n".join([before.rstrip(), *after]).strip(), fields


def _function(node: ast.FunctionDef, level: str, owner: str = "") -> str:
    decorators = [ast.unparse(item) for item in node.decorator_list]
    name = f"{owner}.{node.name}" if owner else node.name
    if node.name == "__call__":
        name = owner
    if "property" in decorators:
        signature = f"{name}: {ast.unparse(node.returns) if node.returns else ''}"
    else:
        node.args.args = [argument for argument in node.args.args if argument.arg not in {"self", "cls"}]
        signature = f"{name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns) if node.returns else 'None'}"
    return f"{level} {name}\n\n`{signature}`\n\n{_text(ast.get_docstring(node) or '')}\n"


def _text(docstring: str) -> str:
    """Turn a Google docstring into Markdown: code in single backticks, sections as they are, in a block."""
    text = docstring.replace("``", "`").strip()
    found = re.search(r"^(Args|Returns|Raises|Example):", text, re.MULTILINE)
    if found is None:
        return text
    prose, sections = text[: found.start()].rstrip(), text[found.start() :].rstrip()
    return f"{prose}\n\n```text\n{sections}\n```".strip()


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
