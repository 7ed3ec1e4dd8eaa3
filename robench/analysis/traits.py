"""The shapes that the curves of the reproduced paper have, looked for in the curves of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from robench.api.published import Trait
from robench.api.records import CLEAN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robench.api.published import Measured

Key = tuple[str, str, str, str]
"""Defense, attack, epsilon and quantity."""


_NEAR, _ABOVE, _RISE, _GAIN = (-0.03, 0.03), (-0.01, 0.08), 0.01, 0.04
"""How far FGSM's worst epsilon may lie from t; where PGD's may lie; how much BIM may rise; what detection may add."""


def paper_traits(measured: Mapping[Key, Measured]) -> tuple[Trait, ...]:
    """Say whether the curves have the shapes that the paper's have.

    Source: Wester & Thisted (2020), section 6 and Figure 7.
    """
    threshold = measured.get(("puvae-detect", CLEAN, "", "threshold"))
    if threshold is None:
        return ()
    curves = {attack: _curve(measured, "puvae", attack) for attack in ("fgsm", "bim", "pgd")}
    largest = max((float(epsilon) for _, _, epsilon, _ in measured if epsilon), default=math.nan)
    detected = _curve(measured, "puvae-detect", "bim")
    return (
        *_placed(measured, "fgsm", _Place(threshold=threshold.value, largest=largest, words="near", bounds=_NEAR)),
        *_placed(
            measured, "pgd", _Place(threshold=threshold.value, largest=largest, words="slightly above", bounds=_ABOVE)
        ),
        *_falling(curves["bim"]),
        *_gaining(curves["bim"], detected),
    )


def _curve(measured: Mapping[Key, Measured], defense: str, attack: str) -> dict[str, float]:
    """Return accuracy by epsilon, ascending."""
    found = {
        epsilon: value.value
        for (name, by, epsilon, quantity), value in measured.items()
        if (name, by, quantity) == (defense, attack, "accuracy")
    }
    return dict(sorted(found.items(), key=lambda item: Decimal(item[0])))


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a sweep should do most harm: so far from the threshold, if an epsilon reaches that."""

    threshold: float
    largest: float
    words: str
    bounds: tuple[float, float]


def _placed(measured: Mapping[Key, Measured], attack: str, place: _Place) -> tuple[Trait, ...]:
    worst = measured.get(("puvae-detect", attack, "", "worst epsilon"))
    if worst is None:
        return ()
    distance = round(worst.value - place.threshold, 9)
    reached = place.threshold <= place.largest
    found = f"worst epsilon {worst.value:g}, threshold {place.threshold:g}"
    return (
        Trait(
            claim=f"{attack.upper()} does most harm {place.words} the threshold",
            holds=place.bounds[0] <= distance <= place.bounds[1] if reached else None,
            found=found if reached else f"{found}, which no epsilon reaches",
        ),
    )


def _falling(curve: Mapping[str, float]) -> tuple[Trait, ...]:
    values = list(curve.values())
    rise = max((later - earlier for earlier, later in pairwise(values)), default=None)
    if rise is None:
        return ()
    return (
        Trait(
            claim="under BIM accuracy falls as epsilon grows",
            holds=rise <= _RISE,
            found=f"{100 * values[0]:.1f} to {100 * values[-1]:.1f} %, largest rise {100 * max(rise, 0):.1f} points",
        ),
    )


def _gaining(plain: Mapping[str, float], detected: Mapping[str, float]) -> tuple[Trait, ...]:
    common = [epsilon for epsilon in plain if epsilon in detected]
    if not common:
        return ()
    gain = detected[common[-1]] - plain[common[-1]]
    return (
        Trait(
            claim="the detector adds nearly nothing against BIM",
            holds=gain <= _GAIN,
            found=f"{100 * gain:+.1f} points at epsilon {common[-1]}",
        ),
    )
