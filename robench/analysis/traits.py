"""The shapes that the curves of the reproduced paper have, looked for in the curves of a run."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from robench.api.published import Trait
from robench.api.records import CLEAN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from robench.api.published import Measured

Key = tuple[str, str, str, str]
"""Defense, attack, epsilon and quantity."""


_NEAR, _ABOVE, _RISE, _GAIN = 0.03, 0.08, 0.01, 0.04
"""How far from t FGSM's worst epsilon may lie, how far above PGD's; how much BIM may rise; what detection may add."""
_DIGITS = 9
"""Of differences of epsilons, which are decimals: 0.1 + 0.2 is not 0.3."""


def paper_traits(measured: Mapping[Key, Measured]) -> tuple[Trait, ...]:
    """Say whether the curves have the shapes that the paper's have.

    Source: Wester & Thisted (2020), section 6 and Figure 7.
    """
    threshold = measured.get(("puvae-detect", CLEAN, "", "threshold"))
    if threshold is None:
        return ()
    curves = {attack: _curve(measured, "puvae", attack) for attack in ("fgsm", "bim", "pgd")}
    detected = _curve(measured, "puvae-detect", "bim")
    return (
        *_placed(measured, "fgsm", _Place(threshold=threshold.value, words="near", below=_NEAR, above=_NEAR)),
        *_placed(measured, "pgd", _Place(threshold=threshold.value, words="slightly above", below=None, above=_ABOVE)),
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
    """Where a sweep should do most harm.

    Attributes:
        threshold: Of the detector.
        words: How the place lies to it.
        below: How far below it the place begins; None if it begins above.
        above: How far above it the place ends.
    """

    threshold: float
    words: str
    below: float | None
    above: float

    def holds(self, epsilon: float) -> bool:
        """Say whether an epsilon lies there."""
        distance = round(epsilon - self.threshold, _DIGITS)
        return (distance > 0 if self.below is None else distance >= -self.below) and distance <= self.above

    def doubt(self, epsilons: Sequence[float]) -> str:
        """Say why a sweep cannot tell whether it does most harm there; nothing if it can.

        One of its epsilons must lie there, and no step to, from or past the threshold may be wider than the place.

        Args:
            epsilons: Of the sweep, ascending.
        """
        if epsilons[-1] < self.threshold:
            return "which no epsilon reaches"
        if epsilons[0] > self.threshold:
            return "no epsilon lies below it"
        if not any(self.holds(epsilon) for epsilon in epsilons):
            return f"no epsilon lies {self.words} it"
        steps = [(low, high) for low, high in pairwise(epsilons) if low <= self.threshold <= high]
        width = self.above + (self.below or 0)
        wide = [f"{low:g} and {high:g}" for low, high in steps if round(high - low, _DIGITS) > width]
        return f"none tried between {' and between '.join(wide)}" if wide else ""


def _placed(measured: Mapping[Key, Measured], attack: str, place: _Place) -> tuple[Trait, ...]:
    curve = _curve(measured, "puvae-detect", attack)
    if not curve:
        return ()
    worst = measured.get(("puvae-detect", attack, "", "worst epsilon"))
    most = "no epsilon does more harm than another" if worst is None else f"worst epsilon {worst.value:g}"
    doubt = place.doubt([float(epsilon) for epsilon in curve])
    return (
        Trait(
            claim=f"{attack.upper()} does most harm {place.words} the threshold",
            holds=None if worst is None or doubt else place.holds(worst.value),
            found=", ".join(filter(None, (most, f"threshold {place.threshold:g}", doubt))),
        ),
    )


def _falling(curve: Mapping[str, float]) -> tuple[Trait, ...]:
    values = list(curve.values())
    rise = max((later - earlier for earlier, later in pairwise(values)), default=None)
    if rise is None:
        return ()
    ends = f"{100 * values[0]:.1f} to {100 * values[-1]:.1f} %"
    return (
        Trait(
            claim="under BIM accuracy falls as epsilon grows",
            holds=rise <= _RISE if len(set(values)) > 1 else None,
            found=f"puvae {ends}, largest rise {100 * max(rise, 0):.1f} points",
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
