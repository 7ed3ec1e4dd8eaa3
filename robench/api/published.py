"""Published figures and their counterparts in a run: what analysis hands to reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Quantity = Literal["accuracy", "worst accuracy", "worst epsilon", "adversarial proportion", "threshold"]
Verdict = Literal["within", "within error", "outside", "not judged"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published figure.

    Attributes:
        dataset, defense, attack: Names as robench has them; the attack is ``clean`` without one.
        epsilon: Normalised decimal text; empty where the figure is of a whole sweep, or of clean images.
        quantity: ``accuracy`` (robust accuracy; of clean images strict), ``worst accuracy`` and ``worst epsilon`` of a
            sweep, ``adversarial proportion`` (share rejected), or the detector's ``threshold``.
        value: Shares are in [0, 1].
        low, high: Where a faithful reproduction should land; None where nobody said.
        source: Table or figure.
    """

    dataset: str
    defense: str
    attack: str
    epsilon: str
    quantity: Quantity
    value: float
    low: float | None
    high: float | None
    source: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The counterpart of a published figure: its value, its Wilson interval at 95 % where it has one, and n."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, kw_only=True)
class ComparedFigure:
    """A published figure and its counterpart.

    Attributes:
        verdict: ``within`` what is expected; ``within error`` if only the interval reaches there; else ``outside``.
    """

    published: Published
    measured: Measured
    verdict: Verdict

    @property
    def difference(self) -> float:
        """Measured minus published."""
        return self.measured.value - self.published.value


@dataclass(frozen=True, kw_only=True)
class Trait:
    """What the shape of the curves should be.

    Attributes:
        claim: In words.
        holds: None where the run, or the claim, does not allow to say.
        found: What was found.
    """

    claim: str
    holds: bool | None
    found: str


@dataclass(frozen=True, kw_only=True)
class PublishedComparison:
    """A run beside published figures.

    Attributes:
        reference: What the figures are of.
        run: Id.
        dataset, classifier, profile: Names.
        images: That the run asks for.
        seed: Of the run.
        complete: Whether it has all its outcomes.
        knowledge: Of each attack in the run.
        cards: The verdict on each defense that has one.
        figures: Those with a counterpart in the run, in the order of the reference.
        unmatched: Number of figures of this data set without one.
        deviations: What the run does differently from the reference, in words.
        traits: Shapes of the curves; empty for a reference that makes no such claims.
    """

    reference: str
    run: str
    dataset: str
    classifier: str
    profile: str
    images: int
    seed: int
    complete: bool
    knowledge: Mapping[str, str]
    cards: Mapping[str, str]
    figures: tuple[ComparedFigure, ...]
    unmatched: int
    deviations: tuple[str, ...]
    traits: tuple[Trait, ...]
