"""Checks of what a user sets."""

from __future__ import annotations

from math import inf

from robench.api import UsageError


def at_least_one(parameters: object, attack: str, *names: str) -> None:
    """Refuse parameters below 1.

    Raises:
        UsageError: If one of them is.
    """
    for name in names:
        value = getattr(parameters, name)
        if value < 1:
            message = f"{attack}: {name} is {value}"
            raise UsageError(message, "give at least 1")


def positive(parameters: object, attack: str, *names: str) -> None:
    """Refuse parameters that are not positive and finite.

    Raises:
        UsageError: If one of them is not.
    """
    for name in names:
        value = getattr(parameters, name)
        if not 0 < value < inf:
            message = f"{attack}: {name} is {value}"
            raise UsageError(message, "give a positive number")
