"""Numbers with their nouns."""

from __future__ import annotations


def count_of(number: int, noun: str) -> str:
    """Return ``1 run`` or ``2 runs``.

    Args:
        number: At least 0.
        noun: In the plural, which ends with an s.
    """
    return f"{number:,} {noun.removesuffix('s') if number == 1 else noun}"
