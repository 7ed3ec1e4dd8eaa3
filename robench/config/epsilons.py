"""Epsilons are exact decimal texts: they are part of a cell's identity, and 0.1 must be the same cell everywhere."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation, localcontext
from typing import TYPE_CHECKING

from robench.config.checks import invalid, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from robench.api import Norm

_SMALLEST = Decimal("1e-10")  # at most 10 decimals
_LARGEST = Decimal(1_000_000)  # further apart are no two images; a number with more digits would take for ever
_MOST = 1000
_RANGE_PARTS = 3
_PRECISION = 50


def parse_epsilons(value: object, where: str = "epsilons") -> tuple[str, ...]:
    """Return epsilons as normalised decimal texts, ascending, each once.

    Args:
        value: A text of numbers and ranges separated by commas, or a list of numbers and such texts. The range
            ``first:last:count`` stands for ``count`` evenly spaced values, both ends included, rounded to 10 decimals.
        where: The place that an error names.

    Returns:
        Texts such as ``0.3``, never in exponent form.

    Raises:
        UsageError: If there is no epsilon, more than 1000, or one that is no number, not above 0, absurdly large or has
            more than 10 decimals. ``check_radii`` knows more of what is too large.

    >>> parse_epsilons("0.30, 0.1:0.2:3")
    ('0.1', '0.15', '0.2', '0.3')
    """
    # A context of its own: another library may have changed the precision or the traps of the thread's.
    with localcontext() as context:
        context.prec = _PRECISION
        context.traps[InvalidOperation] = True
        numbers = {number for item, place in _items(value, where) for number in _numbers(item, place)}
    if not numbers:
        raise invalid(where, "there is no epsilon", "give at least one, such as 0.1")
    if len(numbers) > _MOST:
        raise invalid(where, f"there are more than {_MOST} epsilons")
    return tuple(_normal_text(number) for number in sorted(numbers))


def check_radii(epsilons: tuple[str, ...], norm: Norm, where: str) -> None:
    """Refuse radii that no ball of a norm has.

    Those of L2 are limited by the size of an image, which is not known here.

    Args:
        epsilons: Normalised decimal texts.
        norm: Of the balls.
        where: The place that an error names.

    Raises:
        UsageError: If one is above 1 in Linf.
    """
    if norm == "linf" and (large := next((text for text in epsilons if Decimal(text) > 1), "")):
        raise invalid(where, f"{large} is above 1", "in Linf epsilons are in (0, 1], as pixels are; or give --norm l2")


def _items(value: object, where: str) -> Iterator[tuple[object, str]]:
    """Yield every number or text of a range, with its place."""
    if isinstance(value, str):
        for part in value.split(",") if value.strip() else ():
            yield part.strip(), where
    elif isinstance(value, list | tuple):
        for index, element in enumerate(value):
            place = f"{where}[{index}]"
            yield from _items(element, place) if isinstance(element, str) else [(element, place)]
    else:
        raise invalid(
            where, f"must be a list of numbers or text, not {shown(value)}", 'write [0.1, 0.3] or "0.1:0.3:5"'
        )


def _numbers(item: object, where: str) -> list[Decimal]:
    if not isinstance(item, str) or ":" not in item:
        return [_number(item, where)]
    parts = item.split(":")
    if len(parts) != _RANGE_PARTS:
        raise invalid(where, f"{shown(item)} is no range", "write first:last:count, such as 0.01:0.3:30")
    first, last = _number(parts[0].strip(), where), _number(parts[1].strip(), where)
    count = _count(parts[2].strip(), where, item)
    if first > last:
        raise invalid(where, f"the range {shown(item)} ends before it starts")
    if count == 1:
        if first != last:
            raise invalid(where, f"the range {shown(item)} has one value and two ends")
        return [first]
    return [(first + (last - first) * step / (count - 1)).quantize(_SMALLEST) for step in range(count)]


def _count(text: str, where: str, item: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise invalid(where, f"the count {shown(text)} of the range {shown(item)} is no whole number above 0")
    digits = text.lstrip("0")
    if not digits:
        raise invalid(where, f"the count of the range {shown(item)} is 0", "the least is 1")
    if len(digits) > len(str(_MOST)) or int(digits) > _MOST:
        raise invalid(where, f"the count of the range {shown(item)} is too large", f"the most is {_MOST}")
    return int(digits)


def _number(item: object, where: str) -> Decimal:
    if isinstance(item, bool) or not isinstance(item, str | int | float | Decimal):
        raise invalid(where, f"{shown(item)} is not a number")
    try:
        # The shortest text of a float is what was written; its exact value has many more decimals.
        number = Decimal(repr(item) if isinstance(item, float) else item)
    except (InvalidOperation, ValueError) as error:
        raise invalid(where, f"{shown(item)} is not a number") from error
    if not number.is_finite():
        raise invalid(where, f"{shown(item)} is not a finite number")
    if number <= 0:
        raise invalid(where, f"{shown(item)} is not above 0")
    if number > _LARGEST:
        raise invalid(where, f"{shown(item)} is above {_LARGEST:,}")
    exact = number.quantize(_SMALLEST)
    if exact != number:
        raise invalid(where, f"{shown(item)} has more than 10 decimals")
    return exact


def _normal_text(number: Decimal) -> str:
    return f"{number:f}".rstrip("0").rstrip(".")
