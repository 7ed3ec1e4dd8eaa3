"""What can be set of a plugin, for people: names, types, defaults, and what the docstring says of each."""

from __future__ import annotations

import dataclasses
import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.config.parameters import canonical, words_of
from robench.config.settings import write_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECTION = re.compile(r"[A-Z][A-Za-z ]*:")
_ENTRY = re.compile(r"(?P<names>\w+(?:, \w+)*)(?: \([^)]*\))?: ?(?P<text>.*)")


@dataclass(frozen=True, kw_only=True)
class ParameterDescription:
    """One parameter of a plugin.

    Attributes:
        name: Of the field.
        type: What values it takes, in words.
        default: As ``--set`` would be given it.
        text: What the docstring says of it; empty if it says nothing.
    """

    name: str
    type: str
    default: str
    text: str


def describe_parameters(cls: type) -> tuple[ParameterDescription, ...]:
    """Describe what can be set of a plugin, in the order of its fields.

    Args:
        cls: Its parameters class, with the Attributes section of a Google docstring.

    Raises:
        PluginError: If a default does not fit its type, or a type cannot be resolved.
    """
    defaults, types, texts = canonical(cls()), words_of(cls), _attributes(cls)
    return tuple(
        ParameterDescription(
            name=field.name,
            type=types[field.name],
            default=write_value(defaults[field.name]),
            text=texts.get(field.name, ""),
        )
        for field in dataclasses.fields(cls)
        if field.init
    )


def _attributes(cls: type) -> Mapping[str, str]:
    """Return what the docstrings of a class and its bases say of each attribute, on one line."""
    texts: dict[str, str] = {}
    names: list[str] = []
    for line in (line for base in reversed(cls.__mro__) for line in _section(base, "Attributes")):
        stripped = line.strip()
        entry = _ENTRY.fullmatch(stripped) if line[:5].strip() and line[:4].isspace() else None
        if entry:
            names = entry["names"].split(", ")
            texts |= dict.fromkeys(names, entry["text"])
        else:
            texts |= {name: f"{texts[name]} {stripped}".strip() for name in names}
    return {name: text.replace("``", "") for name, text in texts.items()}


def _section(cls: type, title: str) -> Iterator[str]:
    """Yield the lines of a section of a class's own docstring, indented by four blanks at least."""
    inside = False
    for line in inspect.cleandoc(cls.__doc__ or "").splitlines():
        if _SECTION.fullmatch(line):
            inside = line == f"{title}:"
        elif inside and line:
            yield line
