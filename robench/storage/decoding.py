"""From JSON to records, for text that strangers wrote: every name and type is checked, and nothing else is built."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast

from robench.api.records import ImageOutcome

T = TypeVar("T")
Decoder = Callable[[object], Any]
_WORD = 2**63  # what databases take for a whole number


def decode(record: type[T], text: str) -> T:
    """Read one record.

    Args:
        record: A dataclass; its annotations say what is allowed.
        text: A JSON object with exactly the fields of the record.

    Raises:
        ValueError: It is something else. The message goes on after the name of the place.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        message = "is nested too deeply"
        raise ValueError(message) from error
    return cast("T", decoder(cast("Any", record))(value))


def encode(record: object) -> str:
    """Write one record as JSON text on one line.

    Raises:
        ValueError: A number is not finite.
    """
    return json.dumps(_plain(record), separators=(",", ":"), allow_nan=False)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value):
        # Records that are many are lists of their values, see `_of_fields`.
        plain = {name: _plain(item) for name, item in vars(value).items()}
        return list(plain.values()) if _compact(type(value)) else plain
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _compact(record: type) -> bool:
    return record is ImageOutcome


def _refuse_constant(name: str) -> object:
    message = f"holds {name}, which is no number"
    raise ValueError(message)


@cache
def decoder(kind: Any) -> Decoder:  # noqa: ANN401 (any annotation)
    """Return what turns a JSON value into a value of a type, or raises ValueError."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _of_fields(cast("type", kind))
    if origin in {Union, types.UnionType}:
        (inner,) = [decoder(argument) for argument in arguments if argument is not type(None)]
        return lambda value: None if value is None else inner(value)
    if origin is Literal:
        return _one_of(arguments, lambda value: value)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _one_of(tuple(kind), kind)
    if origin in {tuple, Mapping}:
        return _of_items(arguments) if origin is tuple else _of_entries(decoder(arguments[1]))
    return _SIMPLE[kind]


def _of_fields(record: type) -> Decoder:
    hints = typing.get_type_hints(record)
    decoders = {field.name: decoder(hints[field.name]) for field in dataclasses.fields(record)}
    names = tuple(decoders)
    required = sum(field.default is dataclasses.MISSING for field in dataclasses.fields(record))

    def read(value: object) -> object:
        if _compact(record):
            if not isinstance(value, list) or not required <= len(value) <= len(names):
                raise _wrong(value, f"a list of {', '.join(names)}")
            value = dict(zip(names, value, strict=False))  # older archives lack the last ones
        elif not isinstance(value, dict) or value.keys() != decoders.keys():
            raise _wrong(value, f"an object of {', '.join(names)}")
        found = {}
        for name in value:
            try:
                found[name] = decoders[name](value[name])
            except ValueError as error:
                message = f"{name}: {error}"
                raise ValueError(message) from error
        return record(**found)

    return read


def _one_of(allowed: tuple[Any, ...], make: Callable[[Any], object]) -> Decoder:
    def read(value: object) -> object:
        if not isinstance(value, str) or value not in allowed:
            raise _wrong(value, f"one of {', '.join(allowed)}")
        return make(value)

    return read


def _of_items(arguments: tuple[Any, ...]) -> Decoder:
    if arguments[-1] is Ellipsis:
        each = decoder(arguments[0])

        def read_all(value: object) -> object:
            if not isinstance(value, list):
                raise _wrong(value, "a list")
            return tuple(each(item) for item in value)

        return read_all
    decoders = tuple(decoder(argument) for argument in arguments)

    def read(value: object) -> object:
        if not isinstance(value, list) or len(value) != len(decoders):
            raise _wrong(value, f"a list of {len(decoders)}")
        return tuple(decode_one(item) for decode_one, item in zip(decoders, value, strict=True))

    return read


def _of_entries(each: Decoder) -> Decoder:
    def read(value: object) -> object:
        if not isinstance(value, dict):
            raise _wrong(value, "an object")
        return {_text(key): each(item) for key, item in value.items()}

    return read


def _text(value: object) -> str:
    # PostgreSQL stores neither a NUL nor half a surrogate pair, SQLite no half.
    if not isinstance(value, str) or "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise _wrong(value, "text")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -_WORD <= value < _WORD:
        raise _wrong(value, "a whole number of 64 bits")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, float | int) or not math.isfinite(value):
        raise _wrong(value, "a number")
    return value if isinstance(value, float) else _whole(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, "true or false")
    return value


_SIMPLE: dict[Any, Decoder] = {str: _text, int: _whole, float: _number, bool: _flag}
_SHOWN = 40


def _wrong(value: object, expected: str) -> ValueError:
    shown = repr(value)[: _SHOWN + 1]
    return ValueError(f"must be {expected}, not {shown[:_SHOWN]}{'…' if len(shown) > _SHOWN else ''}")
