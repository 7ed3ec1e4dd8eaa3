"""From a request to its cells, each named by everything that determines its outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robench.api import UsageError
from robench.api.records import CLEAN, WORST_CASE, Cell
from robench.engine.digests import canonical_json, settings_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from robench.api import AttackContext, Keep, SweepContext
    from robench.engine.prepare import Offer, Prepared

UNAVAILABLE = "unavailable"
"""Digest of a defense that could not be prepared: its cells are recorded as failed."""

_KNOWLEDGE = ("oblivious", "naive", "adaptive")


@dataclass(frozen=True, kw_only=True)
class Assault:
    """An attack with its parameters, in one of its two forms.

    Attributes:
        offer: The attack.
        sweeping: Whether it takes all epsilons at once, on the search form of the defense, or one after the other on
            the defense itself.
        keep: Which iterate counts in a sweep, where the attack does not say so itself.
    """

    offer: Offer
    sweeping: bool
    keep: Keep = "last"

    @property
    def name(self) -> str:
        """Name of the attack."""
        return str(self.offer.spec.name)

    def run_sweep(self, context: SweepContext[Any]) -> object:
        """Attack at all epsilons."""
        return self.offer.spec.sweep(context)

    def run_plain(self, context: AttackContext[Any]) -> object:
        """Attack at one epsilon."""
        return self.offer.spec.run(context)


def choose_form(offer: Offer, engine: str, *, worst_case: bool = False) -> Assault:
    """Choose the form in which an attack runs.

    Args:
        offer: The attack.
        engine: ``native`` for the fast form where there is one, ``foolbox`` for the plain one.
        worst_case: Whether every iterate counts.

    Raises:
        UsageError: If the attack has no plain form and that is wanted.
    """
    spec = offer.spec
    if engine == "foolbox" and spec.run is None:
        message = f"--engine foolbox: attack {spec.name} has no such form"
        raise UsageError(message, "leave it out, or use --engine native")
    sweeping = spec.run is None or (engine == "native" and spec.sweep is not None)
    return Assault(offer=offer, sweeping=sweeping, keep="first-win" if worst_case else "last")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Cells that are filled together: of one defense, with the same attacks, at one or more epsilons.

    Attributes:
        prepared: The defense; None if it could not be prepared.
        assaults: None of them for clean images, and more than one for the worst case over several.
        cells: One for each epsilon, ascending.
        worst_case: Whether an image counts as robust only where no attack at no smaller epsilon of the sweep has won.
    """

    prepared: Prepared | None
    assaults: tuple[Assault, ...]
    cells: tuple[Cell, ...]
    worst_case: bool = False

    @property
    def defense(self) -> str:
        """Name of the defense."""
        return self.cells[0].defense

    @property
    def attack(self) -> str:
        """Name of the attack."""
        return self.cells[0].attack


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all cells of a run share.

    Attributes:
        dataset, classifier: Names.
        data_digest, classifier_digest: SHA-256.
        seed: Of the run.
        device: ``cpu`` or ``cuda``.
        engine: Version and code digest of robench itself.
    """

    dataset: str
    data_digest: str
    classifier: str
    classifier_digest: str
    seed: int
    device: str
    engine: Mapping[str, str]

    def sweeps(
        self,
        defenses: Sequence[tuple[Offer, Prepared | None]],
        assaults: Sequence[Assault],
        epsilons: Sequence[str],
        *,
        worst_case: bool = False,
    ) -> list[Sweep]:
        """Lay out all cells: for each defense its clean images, then every attack at every epsilon.

        Args:
            defenses: Each with what was prepared.
            assaults: The attacks.
            epsilons: Decimal texts, ascending.
            worst_case: Lay out the worst case over all attacks instead of each attack.
        """
        sweeps = []
        for offer, prepared in defenses:
            sweeps.append(self._sweep(offer, prepared, (), ("0",)))
            if worst_case:
                sweeps.append(self._sweep(offer, prepared, tuple(assaults), epsilons, worst_case=True))
                continue
            for assault in assaults:
                together = [epsilons] if assault.sweeping else [(epsilon,) for epsilon in epsilons]
                sweeps += [self._sweep(offer, prepared, (assault,), part) for part in together]
        return sweeps

    def _sweep(
        self,
        offer: Offer,
        prepared: Prepared | None,
        assaults: tuple[Assault, ...],
        epsilons: Sequence[str],
        *,
        worst_case: bool = False,
    ) -> Sweep:
        attacks = [_describe(assault, prepared) for assault in assaults]
        attack: object = {} if not attacks else attacks[0]
        if worst_case:
            # The search for the smallest epsilon goes through the whole list, so all of it has a say in each outcome.
            attack = {"attacks": attacks, "epsilons": list(epsilons)}
        settings = {
            "engine": dict(self.engine),
            "defense": {"parameters": dict(offer.settings), **offer.origin},
            "attack": attack,
            "rule": None if prepared is None else prepared.rule,
        }
        common = {
            "dataset": self.dataset,
            "data_digest": self.data_digest,
            "classifier": self.classifier,
            "classifier_digest": self.classifier_digest,
            "defense": offer.spec.name,
            "defense_digest": UNAVAILABLE if prepared is None else prepared.digest,
            "threshold": None if prepared is None else prepared.deployed.threshold,
            "attack": WORST_CASE if worst_case else assaults[0].name if assaults else CLEAN,
            "knowledge": max((item.offer.spec.knowledge for item in assaults), key=_KNOWLEDGE.index, default="none"),
            "seed": self.seed,
            "device": self.device,
            "settings": canonical_json(settings),
        }
        cells = tuple(_name_cell({**common, "epsilon": epsilon}) for epsilon in epsilons)
        return Sweep(prepared=prepared, assaults=assaults, cells=cells, worst_case=worst_case)


def _name_cell(fields: dict[str, Any]) -> Cell:
    return Cell(**fields, key=settings_digest(fields))


def _describe(assault: Assault, prepared: Prepared | None) -> dict[str, object]:
    precision = prepared.search.precision if assault.sweeping and prepared is not None else "float32"
    form = {"form": "sweep" if assault.sweeping else "plain", "precision": precision}
    keep = {"keep": assault.keep} if assault.sweeping else {}
    return {"name": assault.name, "parameters": dict(assault.offer.settings), **assault.offer.origin, **form, **keep}


def run_id(cells: Sequence[Cell], images: int) -> str:
    """Return the id of a request: twelve hexadecimal digits that its cells and number of images determine."""
    return settings_digest({"cells": [cell.key for cell in cells], "images": images})[:12]
