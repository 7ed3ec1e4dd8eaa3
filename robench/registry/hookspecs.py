"""The four hooks of a plugin. Each returns what it offers; nothing is registered as a side effect.

A plugin is a module that an installed distribution names in its entry point group ``robench``. It implements one or
more of these functions, marked with ``robench.api.hookimpl``. They are called once, when robench starts, so they must
be quick: heavy imports belong into the functions of the specs, which run only when the plugin is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

from robench.api.hooks import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from robench.api import AttackSpec, ClassifierSpec, DatasetSpec, DefenseSpec

hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def robench_datasets() -> Iterable[DatasetSpec]:
    """Offer data sets.

    Returns:
        One spec per data set; may be empty, must not be None.
    """
    raise NotImplementedError


@hookspec
def robench_classifiers() -> Iterable[ClassifierSpec[Any]]:
    """Offer classifiers.

    Returns:
        One spec per classifier; may be empty, must not be None.
    """
    raise NotImplementedError


@hookspec
def robench_defenses() -> Iterable[DefenseSpec[Any]]:
    """Offer defenses.

    Returns:
        One spec per defense; may be empty, must not be None.
    """
    raise NotImplementedError


@hookspec
def robench_attacks() -> Iterable[AttackSpec[Any]]:
    """Offer attacks.

    Returns:
        One spec per attack; may be empty, must not be None.
    """
    raise NotImplementedError
