"""ROBENCH_* variables. An empty one counts as not set."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from robench.config.checks import invalid, shown
from robench.config.choices import Choices, read_choices
from robench.errors import suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "dataset": "ROBENCH_DATASET",
        "classifier": "ROBENCH_CLASSIFIER",
        "images": "ROBENCH_IMAGES",
        "seed": "ROBENCH_SEED",
        "device": "ROBENCH_DEVICE",
        "profile": "ROBENCH_PROFILE",
        "batch_size": "ROBENCH_BATCH_SIZE",
        "engine": "ROBENCH_ENGINE",
        "search_precision": "ROBENCH_SEARCH_PRECISION",
        "worst_case": "ROBENCH_WORST_CASE",
        "budget": "ROBENCH_BUDGET",
        "norm": "ROBENCH_NORM",
    }
)

OTHERS = (
    "ROBENCH_CACHE",
    "ROBENCH_CONFIG",
    "ROBENCH_DATA",
    "ROBENCH_DB",
    "ROBENCH_DISABLE_PLUGINS",
    "ROBENCH_OFFLINE",
    "ROBENCH_PLUGIN_TIMEOUT",
)
"""Variables that are read where they count."""

_INTEGERS = frozenset({"images", "seed", "batch_size"})
_SWITCHES = frozenset({"worst_case"})
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,30}")
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def choices_from_environment(environ: Mapping[str, str]) -> Choices:
    """Return what the environment asks for.

    Raises:
        UsageError: If a variable is malformed; the message names it.
    """
    values: dict[str, object] = {}
    for key, variable in VARIABLES.items():
        text = environ.get(variable, "")
        if text:
            values[key] = _value(environ, key, variable, text)
    return read_choices(values, VARIABLES.__getitem__, VARIABLES)


def strangers(environ: Mapping[str, str]) -> str:
    """Say which variables look like robench's and are none: a misspelt one would have no effect; empty for none."""
    known = (*VARIABLES.values(), *OTHERS)
    unknown = sorted(name for name in environ if name.startswith("ROBENCH_") and name not in known)
    return ", ".join(f"{name} is no variable of robench ({suggestion(name, known)})" for name in unknown)


def _value(environ: Mapping[str, str], key: str, variable: str, text: str) -> object:
    if key in _SWITCHES:
        return switch(environ, variable)
    return _integer(text, variable) if key in _INTEGERS else text


def switch(environ: Mapping[str, str], variable: str) -> bool:
    """Return whether a variable is switched on.

    Raises:
        UsageError: If it is neither on nor off.
    """
    text = environ.get(variable, "")
    word = text.strip().lower()
    if word and word not in _WORDS:
        raise invalid(variable, f"{shown(text)} is neither 1 nor 0")
    return _WORDS.get(word, False)


def _integer(text: str, variable: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(text.strip()):
        raise invalid(variable, f"{shown(text)} is not a whole number")
    return int(text)
