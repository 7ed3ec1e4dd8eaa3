"""benchmarks.toml as frozen dataclasses. The whole file is checked, but for whether the plugins it names exist."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

from robench.config.checks import invalid, known_name, shown
from robench.config.choices import DATASET_KEYS, DEFAULTS_KEYS, SUITE_KEYS, SUITE_TABLES, Choices, read_choices
from robench.config.location import FILE_NAME, ConfigSource, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SCHEMA = 1
SECTIONS = ("schema", "defaults", "datasets", "parameters", "suites")

Scalar = str | int | float | bool

_LONGEST_LINE = 2000  # characters; tomllib needs memory quadratic in the length of a dotted key
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """A benchmarks.toml.

    Attributes:
        path: Where it is.
        label: What messages call it.
        defaults: ``[defaults]``.
        datasets: ``[datasets.NAME]`` by name.
        suites: ``[suites.NAME]`` by name.
        parameters: ``[parameters.NAME]`` by name of the plugin.
        suite_parameters: ``[suites.NAME.parameters.PLUGIN]`` by name of the suite, then of the plugin.
        variants: ``[suites.NAME.variants.VARIANT.PLUGIN]`` by name of the suite, of the variant, then of the plugin; in
            the order of the file.
    """

    path: Path
    label: str
    defaults: Choices
    datasets: Mapping[str, Choices]
    suites: Mapping[str, Choices]
    parameters: Mapping[str, Mapping[str, Scalar]]
    suite_parameters: Mapping[str, Mapping[str, Mapping[str, Scalar]]]
    variants: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Scalar]]]]

    def place(self, *keys: str) -> str:
        """Return what messages call a key, such as ``benchmarks.toml: suites.quick.images``."""
        return _place(self.label, *keys)


def load_config(source: ConfigSource) -> Config:
    """Read a benchmarks.toml.

    Raises:
        UsageError: If it cannot be read, or is invalid.
    """
    return parse_config(read_text(source), source)


def parse_config(text: str, source: ConfigSource) -> Config:
    """Check the text of a benchmarks.toml.

    Args:
        text: Its content.
        source: Where it comes from, for messages.

    Raises:
        UsageError: If it is no TOML, or not what robench expects.
    """
    label = source.label
    document = _parse_toml(text, label)
    for key in document:
        known_name(key, _place(label, key), "key", SECTIONS)
    _check_schema(document.get("schema"), label)
    tables = _table(document, label, "suites")
    suites = {name: _table(tables, label, "suites", name) for name in tables}
    choices = {name: {key: suite[key] for key in suite if key not in SUITE_TABLES} for name, suite in suites.items()}
    return Config(
        path=source.path,
        label=label,
        defaults=_choices(_table(document, label, "defaults"), DEFAULTS_KEYS, label, "defaults"),
        datasets=_named_choices(document, "datasets", DATASET_KEYS, label),
        suites=_named_choices({"suites": choices}, "suites", SUITE_KEYS, label),
        parameters=_parameters(document, label, "parameters"),
        suite_parameters=MappingProxyType(
            {name: _parameters(suite, label, "suites", name, "parameters") for name, suite in suites.items()}
        ),
        variants=MappingProxyType(
            {name: _variants(suite, label, "suites", name, "variants") for name, suite in suites.items()}
        ),
    )


def _parse_toml(text: str, label: str) -> dict[str, object]:
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > _LONGEST_LINE:
            raise invalid(label, f"line {number} has more than {_LONGEST_LINE} characters", "break it")
    try:
        # With a line more, an error in the last line has a line number too.
        return tomllib.loads(f"{text}\n", parse_float=Decimal)
    except RecursionError as error:
        raise invalid(label, "is nested too deeply") from error
    except (ValueError, ArithmeticError) as error:  # TOMLDecodeError is a ValueError; Decimal raises the other
        raise invalid(label, f"is not valid TOML: {error}") from error


def _check_schema(schema: object, label: str) -> None:
    where = _place(label, "schema")
    if schema is None:
        raise invalid(where, "is missing", f"write schema = {SCHEMA}, or choose another file with --config")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema != SCHEMA:
        raise invalid(where, f"this robench reads {FILE_NAME} of schema {SCHEMA}, not {shown(schema)}")


def _place(label: str, *keys: str) -> str:
    path = ".".join(key if _BARE_KEY.fullmatch(key) else shown(key) for key in keys)
    return f"{label}: {path}"


def _table(values: Mapping[str, object], label: str, *keys: str) -> Mapping[str, object]:
    """Return the table ``values[keys[-1]]``; ``keys`` is its path in the file. A missing table is empty."""
    table = values.get(keys[-1], {})
    if not isinstance(table, dict):
        raise invalid(_place(label, *keys), f"must be a table, not {shown(table)}")
    return table


def _choices(values: Mapping[str, object], allowed: Iterable[str], label: str, *keys: str) -> Choices:
    return read_choices(values, lambda key: _place(label, *keys, key), allowed)


def _named_choices(
    document: Mapping[str, object], section: str, allowed: Iterable[str], label: str
) -> Mapping[str, Choices]:
    tables = _table(document, label, section)
    return MappingProxyType(
        {name: _choices(_table(tables, label, section, name), allowed, label, section, name) for name in tables}
    )


def _variants(holder: Mapping[str, object], label: str, *path: str) -> Mapping[str, Mapping[str, Mapping[str, Scalar]]]:
    """Return a table of tables of parameters, the last key of whose path in the file is a key of ``holder``."""
    tables = _table(holder, label, *path)
    return MappingProxyType({name: _parameters(tables, label, *path, name) for name in tables})


def _parameters(holder: Mapping[str, object], label: str, *path: str) -> Mapping[str, Mapping[str, Scalar]]:
    """Return a table of parameters by plugin, the last key of whose path in the file is a key of ``holder``."""
    tables = _table(holder, label, *path)
    parameters = {}
    for name in tables:
        table = _table(tables, label, *path, name)
        values = {key: scalar(value, _place(label, *path, name, key)) for key, value in table.items()}
        parameters[name] = MappingProxyType(values)
    return MappingProxyType(parameters)


def scalar(value: object, where: str) -> Scalar:
    """Return a value that a parameter may have.

    Raises:
        UsageError: If it is something else, such as a list.
    """
    if isinstance(value, Decimal):
        number = float(value)
        if not math.isfinite(number):
            raise invalid(where, f"{shown(value)} is not a finite number")
        return number
    if not isinstance(value, str | int | bool):
        raise invalid(where, f"must be text, a number, true or false, not {shown(value)}")
    return value
