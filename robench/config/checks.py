"""Checks of single values, wherever they come from. Each raises ``UsageError`` that names the place and the mend."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from robench.api import NORMS
from robench.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from robench.api import Effort

PROFILES = ("quick", "fast", "paper")
CALIBRATIONS = ("finite-sample", "paper-grid")
ENGINES = ("native", "foolbox")
EFFORTS: tuple[Effort, ...] = ("quick", "standard", "thorough")
SEARCH_PRECISIONS = ("auto", "float32", "tf32", "bfloat16")

_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")
_SEED_LIMIT = 2**63  # the store keeps seeds as signed 64-bit integers
_COUNT_LIMIT = 2**31
_LONGEST_SHOWN = 60


def invalid(where: str, problem: str, hint: str = "") -> UsageError:
    """Return the error that says what is wrong at a place, to be raised."""
    return UsageError(f"{where}: {problem}", hint)


def shown(value: object) -> str:
    """Return a value as a message may show it: on one line and not endless."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 4 * _LONGEST_SHOWN:
        return "a number with very many digits"  # which Python may even refuse to print
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
    # An argument that is no UTF-8 arrives with lone surrogates, which no stream would print.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def known_name(name: str, where: str, kind: str, known: Iterable[str], remark: str = "") -> str:
    """Return a name that exists.

    Args:
        name: What was asked for.
        where: The place that an error names.
        kind: What the name is of, such as ``attack``.
        known: The names that there are.
        remark: What else may explain that a name is unknown.

    Raises:
        UsageError: If it does not exist.
    """
    names = tuple(known)
    if name not in names:
        hint = suggestion(name, names)
        raise invalid(where, f"unknown {kind} {shown(name)}", f"{hint} ({remark})" if remark else hint)
    return name


def text(value: object, where: str) -> str:
    """Return a text that is not empty.

    Raises:
        UsageError: If it is something else.
    """
    if not isinstance(value, str):
        raise invalid(where, f"must be text, not {shown(value)}")
    if not value.strip() or "\0" in value:
        raise invalid(where, f"{shown(value)} names nothing")
    return value


def names(value: object, where: str) -> tuple[str, ...]:
    """Return a list of texts that is not empty.

    Raises:
        UsageError: If it is something else.
    """
    if not isinstance(value, list | tuple):
        raise invalid(where, f"must be a list of names, not {shown(value)}", 'write ["first", "second"]')
    if not value:
        raise invalid(where, "must not be empty", "leave it out to have the default")
    return tuple(text(item, f"{where}[{index}]") for index, item in enumerate(value))


def choice(value: object, where: str, choices: tuple[str, ...]) -> str:
    """Return one of a few words.

    Raises:
        UsageError: If it is something else.
    """
    if not isinstance(value, str) or value not in choices:
        raise invalid(where, f"{shown(value)} is not one of {', '.join(choices)}")
    return value


def profile(value: object, where: str) -> str:
    """Return the name of a training profile.

    Raises:
        UsageError: If there is no such profile.
    """
    return choice(value, where, PROFILES)


def calibration(value: object, where: str) -> str:
    """Return the name of a rule for rejection thresholds.

    Raises:
        UsageError: If there is no such rule.
    """
    return choice(value, where, CALIBRATIONS)


def engine(value: object, where: str) -> str:
    """Return which form of an attack runs.

    Raises:
        UsageError: If there is no such engine.
    """
    return choice(value, where, ENGINES)


def search_precision(value: object, where: str) -> str:
    """Return a number format for searches.

    Raises:
        UsageError: If there is no such format.
    """
    return choice(value, where, SEARCH_PRECISIONS)


def budget(value: object, where: str) -> str:
    """Return how much an ensemble of attacks may cost.

    Raises:
        UsageError: If there is no such budget.
    """
    return choice(value, where, EFFORTS)


def norm(value: object, where: str) -> str:
    """Return the norm of the balls.

    Raises:
        UsageError: If there is no such norm.
    """
    return choice(value, where, NORMS)


def flag(value: object, where: str) -> bool:
    """Return whether something is wanted.

    Raises:
        UsageError: If it is neither true nor false.
    """
    if not isinstance(value, bool):
        raise invalid(where, f"must be true or false, not {shown(value)}")
    return value


def device(value: object, where: str) -> str:
    """Return a device; whether the machine has it is for the engine to find out.

    Raises:
        UsageError: If it is none of ``auto``, ``cpu``, ``cuda`` and ``cuda:INDEX``.
    """
    if not isinstance(value, str) or not _DEVICE.fullmatch(value):
        raise invalid(where, f"{shown(value)} is not one of auto, cpu, cuda, cuda:INDEX")
    return value


def count(value: object, where: str) -> int:
    """Return a number of things, at least one.

    Raises:
        UsageError: If it is no whole number, below 1 or absurdly large.
    """
    return _integer(value, where, lowest=1, limit=_COUNT_LIMIT)


def seed(value: object, where: str) -> int:
    """Return a seed.

    Raises:
        UsageError: If it is no whole number in [0, 2**63).
    """
    return _integer(value, where, lowest=0, limit=_SEED_LIMIT)


def rate(value: object, where: str) -> float:
    """Return a share strictly between nothing and everything.

    Raises:
        UsageError: If it is no number in (0, 1).
    """
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
        raise invalid(where, f"must be a number, not {shown(value)}")
    # No whole number lies in between, and a huge one cannot become a float.
    number = 0.0 if isinstance(value, int) else float(value)
    if not 0 < number < 1:
        raise invalid(where, f"{shown(value)} is not between 0 and 1")
    return number


def _integer(value: object, where: str, *, lowest: int, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid(where, f"must be a whole number, not {shown(value)}")
    if value < lowest:
        raise invalid(where, f"{shown(value)} is too small", f"the least is {lowest}")
    if value >= limit:
        raise invalid(where, f"{shown(value)} is too large", f"the most is {limit - 1}")
    return value
