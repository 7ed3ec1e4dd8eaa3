"""Checks of what a user sets."""

from __future__ import annotations

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
