"""Which attacks and epsilons of a run a table shows, whatever it is written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from robench.api.records import ADAPTIVE, CLEAN, COMPOSITES, REJECTION, WORST_CASE
from robench.report.provenance import has_threshold

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from robench.api.records import RunSummary

MOST_EPSILONS = 6
"""A sweep with more of them shows some; JSON, CSV and the store have all."""

UPPER_BOUNDS = {
    "naive": "naive: the attack does not know the detector or the selection",
    "oblivious": "oblivious: the attack knows the classifier only, not the defense",
}
"""Knowledge with which robust accuracy is but an upper bound, and what it means."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One attack at its epsilons.

    Attributes:
        attack: Its name.
        knowledge: Of the attack; empty where no cell was judged.
        epsilons: Of all defenses together, failed cells included, ascending.
    """

    attack: str
    knowledge: str
    epsilons: tuple[str, ...]

    @property
    def name(self) -> str:
        """The attack and, unless its name says so, what it knows."""
        return attack_name(self.attack, {self.attack: self.knowledge})

    @property
    def per_image(self) -> bool:
        """Whether it is an ensemble, whose robust accuracy never rises with epsilon."""
        return self.attack in COMPOSITES


def attack_name(attack: str, knowledge: Mapping[str, str]) -> str:
    """Return the name of an attack and, unless its name says so, what it knows; by attack, as far as it is known."""
    known = knowledge.get(attack, "")
    return f"{attack} ({known})" if known not in {"", attack} else attack


def upper_bounds(knowledge: Iterable[str]) -> tuple[str, ...]:
    """Say which of some numbers are no robustness, a line for each kind of knowledge."""
    known = set(knowledge)
    return tuple(
        f"{meaning}; these numbers are upper bounds, not robustness"
        for kind, meaning in UPPER_BOUNDS.items()
        if kind in known
    )


def list_sweeps(summary: RunSummary) -> tuple[Sweep, ...]:
    """Return the attacks of a run in its order, without the one that is after rejections."""
    tried = [(row.attack, row.epsilon) for row in summary.results]
    tried += [(row.attack, row.epsilon) for row in summary.failures if row.attack != CLEAN]
    knowledge = {row.attack: row.knowledge for row in summary.results}
    return tuple(
        Sweep(
            attack=attack,
            knowledge=knowledge.get(attack, ""),
            epsilons=tuple(sorted({epsilon for name, epsilon in tried if name == attack}, key=Decimal)),
        )
        for attack in summary.attacks
        if attack != REJECTION
    )


def count_outcomes(summary: RunSummary) -> int:
    """Return how many outcomes a run has, of those planned."""
    return sum(row.n for row in summary.clean) + sum(row.n for row in summary.results)


def pick(epsilons: Sequence[str], most: int = MOST_EPSILONS) -> tuple[str, ...]:
    """Return as many epsilons as a table bears, evenly spaced, the largest among them."""
    count = min(len(epsilons), most)
    return tuple(epsilons[len(epsilons) * (place + 1) // count - 1] for place in range(count))


def rejecting_defenses(summary: RunSummary) -> frozenset[str]:
    """Return the defenses that reject, or could; without provenance, those that did."""
    rejected = {row.defense for row in summary.clean if row.rejected}
    rejected |= {row.defense for row in summary.results if row.rejected}
    return frozenset(rejected | {name for name in summary.defenses if has_threshold(summary.details, name)})


def meanings(summary: RunSummary) -> tuple[str, ...]:
    """Say what the ensembles of a run are, and which of its numbers are no robustness, a line each."""
    lines = []
    if WORST_CASE in summary.attacks:
        names = summary.details.get("attacks")
        listed = tuple(names) if isinstance(names, Mapping) else ()
        tried = f"any of {', '.join(listed)}" if len(listed) > 1 else listed[0] if listed else "any attack"
        lines.append(
            f"{WORST_CASE}: an image is lost where {tried} fooled the defense at this or a smaller epsilon listed"
        )
    if ADAPTIVE in summary.attacks:
        lines.append(
            f"{ADAPTIVE}: an image is lost where any attack that knows the defense won at this or a smaller epsilon"
        )
    return (*lines, *upper_bounds(row.knowledge for row in summary.results))


def short_verdict(summary: RunSummary, defense: str) -> tuple[str, ...]:
    """Return a verdict without its figures, which a table has anyway: first words, and warnings that follow.

    Nothing without a card.
    """
    verdict = next((card.verdict for card in summary.cards if card.defense == defense), "")
    first, *warnings = verdict.split("; ")
    return (first.split(":")[0], *(f"({warning.split(' at eps ')[0]})" for warning in warnings)) if verdict else ()
