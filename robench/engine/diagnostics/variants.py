"""Attacks and defenses with one thing changed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robench.engine.plan import Assault
    from robench.engine.prepare import Prepared

_EFFORT = ("steps", "restarts", "draws", "queries")
"""Parameters that say how hard an attack tries; the first that it has is doubled."""


def is_iterative(assault: Assault) -> bool:
    """Say whether the attack takes steps within a ball; minimal ones, which look outside, have no last iterate."""
    return assault.form != "minimal" and hasattr(assault.offer.parameters, _EFFORT[0])


def doubled(assault: Assault) -> tuple[Assault, str] | None:
    """Return the attack with twice the steps, or else restarts, and what was doubled; None if it has neither."""
    parameters = assault.offer.parameters
    name = next((name for name in _EFFORT if hasattr(parameters, name)), None)
    if name is None:
        return None
    more = dataclasses.replace(parameters, **{name: 2 * getattr(parameters, name)})
    return dataclasses.replace(assault, offer=dataclasses.replace(assault.offer, parameters=more)), name


def keeping_wins(assault: Assault) -> Assault:
    """Return the attack with every iterate put to the defense."""
    return dataclasses.replace(assault, keep="first-win")


def without_detector(prepared: Prepared) -> Prepared:
    """Return the defense as it would be if it rejected nothing."""
    deployed, search = (dataclasses.replace(form, threshold=None) for form in (prepared.deployed, prepared.search))
    return dataclasses.replace(prepared, deployed=deployed, search=search)
