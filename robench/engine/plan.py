"""From a request to its cells, each named by everything that determines its outcomes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from robench.api import UsageError
from robench.api.records import CLEAN, Cell
from robench.engine.digests import canonical_json, settings_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from robench.api import AttackContext, Goal, Keep, Norm, SweepContext
    from robench.engine.prepare import Offer, Prepared

Form = Literal["sweep", "plain", "minimal"]
"""Which function of an ``AttackSpec`` attacks: see there."""

JUDGING_DRAWS = 10
"""How often a stochastic defense is asked for the judgement of clean images and of attacks that know it."""

UNAVAILABLE = "unavailable"
"""Digest of a defense that could not be prepared: its cells are recorded as failed."""

_KNOWLEDGE = ("oblivious", "naive", "adaptive")


@dataclass(frozen=True, kw_only=True)
class Assault:
    """An attack with its parameters, in one of its forms.

    Attributes:
        offer: The attack.
        form: ``sweep`` takes all epsilons at once, on the search form of the defense; ``plain`` one after the other on
            the defense itself; ``minimal`` looks there for the closest image, whatever the epsilons.
        keep: Which iterate counts in a sweep, where the attack does not say so itself.
    """

    offer: Offer
    form: Form
    keep: Keep = "last"

    @property
    def name(self) -> str:
        """Name of the attack."""
        return str(self.offer.spec.name)

    @property
    def goal(self) -> Goal:
        """What it is after."""
        return self.offer.spec.goal  # type: ignore[no-any-return]

    @property
    def draws(self) -> int:
        """How often a stochastic defense is asked what it makes of the result.

        Once for the attacks of the literature, as the literature does; their mean over images is unbiased all the same.
        """
        return JUDGING_DRAWS if self.offer.spec.knowledge == "adaptive" else 1

    def run_sweep(self, context: SweepContext[Any]) -> object:
        """Attack at all epsilons."""
        return self.offer.spec.sweep(context)

    def run_alone(self, context: AttackContext[Any]) -> object:
        """Attack at one epsilon, or for a minimal attack at an infinite one."""
        return (self.offer.spec.minimal if self.form == "minimal" else self.offer.spec.run)(context)


def choose_form(offer: Offer, engine: str, *, worst_case: bool = False) -> Assault:
    """Choose the form in which an attack runs.

    Args:
        offer: The attack.
        engine: ``native`` for the fast form where there is one, ``foolbox`` for the plain one. A minimal attack has
            one form, which is right for both.
        worst_case: Whether every iterate counts.

    Raises:
        UsageError: If the attack has no plain form and that is wanted.
    """
    spec = offer.spec
    if spec.minimal is not None:
        return Assault(offer=offer, form="minimal")
    if engine == "foolbox" and spec.run is None:
        message = f"--engine foolbox: attack {spec.name} has no such form"
        raise UsageError(message, "leave it out, or use --engine native")
    form: Form = "sweep" if spec.run is None or (engine == "native" and spec.sweep is not None) else "plain"
    keeps_wins = worst_case or spec.knowledge == "adaptive"
    return Assault(offer=offer, form=form, keep="first-win" if keeps_wins else "last")


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """Several attacks that are recorded as one: the worst case per image over all of them and all smaller epsilons.

    Attributes:
        name: Under which it is recorded.
        assaults: Its members, the cheapest first; all keep their wins.
        epsilons: Decimal texts, ascending.
        goal: What all of them are after.
    """

    name: str
    assaults: tuple[Assault, ...]
    epsilons: tuple[str, ...]
    goal: Goal = "wrong"

    def without(self, member: str) -> Ensemble:
        """Return the same without one attack."""
        return dataclasses.replace(self, assaults=tuple(item for item in self.assaults if item.name != member))


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Cells that are filled together: of one defense, by the same attacks, at one or more epsilons.

    Attributes:
        offer: The defense.
        prepared: The same, ready; None if it could not be prepared.
        assault: The attack; None for clean images and for an ensemble.
        ensemble: The attacks, if there are several.
        cells: One for each epsilon, ascending.
        members: For an ensemble, the cells of each of its attacks.
    """

    offer: Offer
    prepared: Prepared | None
    assault: Assault | None
    ensemble: Ensemble | None
    cells: tuple[Cell, ...]
    members: tuple[tuple[Cell, ...], ...] = ()

    @property
    def defense(self) -> str:
        """Name of the defense."""
        return self.cells[0].defense

    @property
    def attack(self) -> str:
        """Name of the attack or ensemble."""
        return self.cells[0].attack


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all cells of a run share.

    Attributes:
        dataset, classifier: Names.
        data_digest, classifier_digest: SHA-256.
        seed: Of the run.
        device: ``cpu`` or ``cuda``.
        norm: Of the balls.
        engine: Version and code digest of robench itself.
    """

    dataset: str
    data_digest: str
    classifier: str
    classifier_digest: str
    seed: int
    device: str
    norm: Norm
    engine: Mapping[str, str]

    def sweeps(
        self,
        offer: Offer,
        prepared: Prepared | None,
        assaults: Sequence[Assault],
        epsilons: Sequence[str],
        ensembles: Sequence[Ensemble] = (),
    ) -> list[Sweep]:
        """Lay out the cells of a defense: clean images, then every attack at every epsilon, then the ensembles.

        Args:
            offer: The defense.
            prepared: The same, ready.
            assaults: Attacks on their own.
            epsilons: Of these, decimal texts, ascending.
            ensembles: Attacks together.
        """
        sweeps = [self._sweep(offer, prepared, None, ("0",))]
        for assault in assaults:
            together = [(epsilon,) for epsilon in epsilons] if assault.form == "plain" else [epsilons]
            sweeps += [self._sweep(offer, prepared, assault, part) for part in together]
        return sweeps + [self.lay_out(offer, prepared, ensemble) for ensemble in ensembles]

    def lay_out(self, offer: Offer, prepared: Prepared | None, ensemble: Ensemble) -> Sweep:
        """Lay out the cells of an ensemble and of its members."""
        described = [_describe(assault, prepared) for assault in ensemble.assaults]
        # The search for the smallest epsilon goes through the whole list, so all of it has a say in each outcome.
        whole = {"attacks": described, "epsilons": list(ensemble.epsilons), "goal": ensemble.goal}
        fields = self._fields(offer, prepared, whole)
        fields["ensemble"] = settings_digest({**fields, "name": ensemble.name})
        cells = _cells(fields, ensemble.name, _most_known(ensemble.assaults), ensemble.epsilons)
        members = tuple(
            _cells({**fields, "member": True}, item.name, item.offer.spec.knowledge, ensemble.epsilons)
            for item in ensemble.assaults
        )
        return Sweep(offer=offer, prepared=prepared, assault=None, ensemble=ensemble, cells=cells, members=members)

    def _sweep(
        self, offer: Offer, prepared: Prepared | None, assault: Assault | None, epsilons: Sequence[str]
    ) -> Sweep:
        described = {} if assault is None else _describe(assault, prepared)
        name, knowledge = (CLEAN, "none") if assault is None else (assault.name, assault.offer.spec.knowledge)
        fields = self._fields(offer, prepared, described)
        # Clean images are in no ball, so runs in either norm share them.
        cells = _cells(fields if assault else {**fields, "norm": "none"}, name, knowledge, epsilons)
        return Sweep(offer=offer, prepared=prepared, assault=assault, ensemble=None, cells=cells)

    def _fields(self, offer: Offer, prepared: Prepared | None, attack: Mapping[str, object]) -> dict[str, Any]:
        """Return what the cells of a sweep have in common, but for the attack's name and knowledge."""
        settings = {
            "engine": dict(self.engine),
            "defense": {"parameters": dict(offer.settings), **offer.origin},
            "attack": attack,
            "rule": None if prepared is None else prepared.rule,
        }
        subject = {
            "dataset": self.dataset,
            "data_digest": self.data_digest,
            "classifier": self.classifier,
            "classifier_digest": self.classifier_digest,
            "defense": offer.spec.name,
            "defense_digest": UNAVAILABLE if prepared is None else prepared.digest,
            "threshold": None if prepared is None else prepared.deployed.threshold,
        }
        return {
            **subject,
            "norm": self.norm,
            "seed": self.seed,
            "device": self.device,
            "settings": canonical_json(settings),
            "subject": settings_digest({**subject, "settings": settings["defense"]}),
            "stochastic": offer.spec.stochastic,
            "ensemble": "",
            "member": False,
        }


def _cells(fields: Mapping[str, Any], attack: str, knowledge: str, epsilons: Sequence[str]) -> tuple[Cell, ...]:
    named = [{**fields, "attack": attack, "knowledge": knowledge, "epsilon": epsilon} for epsilon in epsilons]
    return tuple(Cell(**each, key=settings_digest(each)) for each in named)


def _most_known(assaults: Sequence[Assault]) -> str:
    return max((item.offer.spec.knowledge for item in assaults), key=_KNOWLEDGE.index, default="none")


def _describe(assault: Assault, prepared: Prepared | None) -> dict[str, object]:
    sweeping = assault.form == "sweep"
    precision = prepared.search.precision if sweeping and prepared is not None else "float32"
    form = {"form": assault.form, "precision": precision}
    keep = {"keep": assault.keep} if sweeping else {}
    return {"name": assault.name, "parameters": dict(assault.offer.settings), **assault.offer.origin, **form, **keep}


def run_id(cells: Sequence[Cell], images: int) -> str:
    """Return the id of a request: twelve hexadecimal digits that its cells and number of images determine."""
    return settings_digest({"cells": [cell.key for cell in cells], "images": images})[:12]
