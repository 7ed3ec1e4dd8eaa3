"""Parameters of plugins as ``PLUGIN.KEY=VALUE``: read from ``--set``, written into the command of a run."""

from __future__ import annotations

import json
import re
import tomllib
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

from robench.config.checks import invalid, known_name, shown
from robench.config.file import scalar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from robench.config.file import Scalar

_FLAG = "--set"
_BARE_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]*")


def read_settings(texts: Iterable[str], known: Collection[str], remark: str = "") -> Mapping[str, Mapping[str, Scalar]]:
    """Return what ``--set`` asks for: values by key, by name of the plugin.

    Args:
        texts: Such as ``puvae.latent_noise=0.2``.
        known: Names of plugins that may have parameters.
        remark: What else may explain that a name is unknown.

    Raises:
        UsageError: If a text has another form, its plugin is unknown, or its key was set before.
    """
    settings: dict[str, dict[str, Scalar]] = {}
    for text in texts:
        target, equals, value = text.partition("=")
        plugin, dot, key = target.rpartition(".")
        if not (plugin and dot and key and equals):
            problem = f"{shown(text)} is not PLUGIN.KEY=VALUE"
            raise invalid(_FLAG, problem, f"write {_FLAG} puvae.latent_noise=0.2")
        place = place_of(plugin, key)
        known_name(plugin, place, "plugin", known, remark)
        values = settings.setdefault(plugin, {})
        if key in values:
            raise invalid(place, "is given twice")
        values[key] = _read_value(value, place)
    return MappingProxyType({plugin: MappingProxyType(values) for plugin, values in settings.items()})


def place_of(plugin: str, key: str) -> str:
    """Return what messages call a setting of the command line."""
    return f"{_FLAG} {plugin}.{key}"


def write_value(value: object) -> str:
    """Return a value as ``--set`` reads it: TOML, or a bare word where that is text and nothing else."""
    if isinstance(value, str) and _BARE_WORD.fullmatch(value) and _toml(value) is None:
        return value
    return json.dumps(value, ensure_ascii=False)


def _read_value(text: str, place: str) -> Scalar:
    document = _toml(text)
    if document is not None:
        return scalar(document["value"], place)
    if not _BARE_WORD.fullmatch(text):
        problem = f"{shown(text)} is neither a TOML value nor a word"
        raise invalid(place, problem, """write true, 3, 0.5, a-word or '"any text"'""")
    return text


def _toml(text: str) -> dict[str, object] | None:
    """Return what a text says as the value of a TOML key; None if it is no such value."""
    try:
        document = tomllib.loads(f"value = {text}\n", parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        return None
    return document if set(document) == {"value"} else None
