"""From values of benchmarks.toml to a plugin's own parameters, and from those to values that a digest can cover."""

from __future__ import annotations

import dataclasses
import math
import types
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from robench.config.checks import invalid, known_name, shown
from robench.errors import PluginError, RobenchError

if TYPE_CHECKING:
    from collections.abc import Mapping

P = TypeVar("P")
Canonical = str | int | float | bool | None

_WORDS: Mapping[Any, str] = types.MappingProxyType(
    {bool: "true or false", int: "a whole number", float: "a finite number", str: "text", types.NoneType: "nothing"}
)
_FLOAT_BITS = 1023  # a larger whole number may overflow


def build_parameters(
    cls: type[P],
    values: Mapping[str, object],
    where: str,
    places: Mapping[str, str] = types.MappingProxyType({}),
) -> P:
    """Make an instance of a plugin's parameters class.

    Args:
        cls: Dataclass whose fields are bool, int, float, str, a Literal or a union of those.
        values: Some of its fields by name; the others keep their defaults.
        where: The place of the values, such as ``benchmarks.toml: parameters.puvae``.
        places: The place of single values, where it is another, such as ``--set puvae.error``.

    Raises:
        UsageError: If a field is unknown, or a value is of another type or refused by the class itself.
    """
    try:
        hints = _hints(cls)
    except PluginError as error:
        raise invalid(where, error.message) from error
    accepted = {}
    for key, value in values.items():
        place = places.get(key, f"{where}.{key}")
        known_name(key, place, "key", hints)
        try:
            accepted[key] = _fit(value, hints[key])
        except TypeError as error:
            raise invalid(place, str(error)) from error
    where = ", ".join(places.get(key, where) for key in values if key in places) or where
    try:
        return cls(**accepted)
    except RobenchError as error:
        raise invalid(where, error.message, error.hint) from error
    except Exception as error:
        # The plugin checks its values in its own way, and its message is for who wrote them.
        raise invalid(where, f"{cls.__name__} refuses: {error!r}") from error


def canonical(instance: object) -> dict[str, Canonical]:
    """Return parameters by name, sorted, such that equal parameters give equal JSON.

    Args:
        instance: Of a plugin's parameters class.

    Raises:
        PluginError: If a value, such as a default, does not fit its declared type.
    """
    values: dict[str, Canonical] = {}
    for name, hint in sorted(_hints(type(instance)).items()):
        try:
            # Makes the 1 of `rate: float = 1` the 1.0 that benchmarks.toml would give.
            values[name] = _fit(getattr(instance, name), hint)
        except TypeError as error:
            message = f"parameter {name} of {type(instance).__name__}: {error}"
            raise PluginError(message) from error
    return values


def words_of(cls: type) -> dict[str, str]:
    """Return what values each parameter takes, in words.

    Args:
        cls: A plugin's parameters class.

    Raises:
        PluginError: If a type cannot be resolved.
    """
    return {name: " or ".join(_words(member) for member in _members(hint)) for name, hint in _hints(cls).items()}


def _hints(cls: type) -> dict[str, Any]:
    """Return the types of the fields that can be set."""
    try:
        hints = get_type_hints(cls)
        return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}
    except Exception as error:
        message = f"the types of the fields of {cls.__name__} cannot be resolved: {error!r}"
        raise PluginError(message) from error


def _fit(value: object, hint: Any) -> Canonical:  # noqa: ANN401  # types are values of any type here
    """Return the value as its type has it.

    Raises:
        TypeError: If it does not fit.
    """
    members = _members(hint)
    if any(_is_exactly(value, member) for member in members):
        return value  # type: ignore[return-value]  # that is what was just asked
    if float in members and type(value) is int and value.bit_length() <= _FLOAT_BITS:
        return float(value)
    message = f"must be {' or '.join(_words(member) for member in members)}, not {shown(value)}"
    raise TypeError(message)


def _members(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401
    return get_args(hint) if get_origin(hint) in {Union, types.UnionType} else (hint,)


def _is_exactly(value: object, member: Any) -> bool:  # noqa: ANN401
    # Types are compared as well, because True == 1 == 1.0.
    if get_origin(member) is Literal:
        return any(type(option) is type(value) and option == value for option in get_args(member))
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return member in _WORDS and type(value) is member


def _words(member: Any) -> str:  # noqa: ANN401
    if get_origin(member) is Literal:
        return "one of " + ", ".join(shown(option) for option in get_args(member))
    return _WORDS.get(member, f"a {member!r}, which benchmarks.toml cannot hold")
