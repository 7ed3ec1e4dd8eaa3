"""From a request to its cells, each named by everything that determines its outcomes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from robench.api.records import CLEAN, Cell
from robench.engine.digests import canonical_json, settings_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from robench.engine.prepare import Offer, Prepared

UNAVAILABLE = "unavailable"
"""Digest of a defense that could not be prepared: its cells are recorded as failed."""


@dataclass(frozen=True, kw_only=True)
class Assault:
    """An attack with its parameters and one epsilon.

    Attributes:
        offer: The attack.
        epsilon: Exact decimal text.
    """

    offer: Offer
    epsilon: str

    @property
    def name(self) -> str:
        """Name of the attack."""
        return str(self.offer.spec.name)


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """One cell with what is needed to fill it.

    Attributes:
        cell: The record.
        prepared: The defense; None if it could not be prepared.
        assault: None for clean images.
    """

    cell: Cell
    prepared: Prepared | None
    assault: Assault | None


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

    def cells(
        self,
        defenses: Sequence[tuple[Offer, Prepared | None]],
        attacks: Sequence[Offer],
        epsilons: Sequence[str],
    ) -> list[PlannedCell]:
        """Lay out all cells: for each defense its clean images, then every attack at every epsilon."""
        return [
            self._cell(offer, prepared, assault)
            for offer, prepared in defenses
            for assault in _assaults(attacks, epsilons)
        ]

    def _cell(self, offer: Offer, prepared: Prepared | None, assault: Assault | None) -> PlannedCell:
        settings = {
            "engine": dict(self.engine),
            "defense": {"parameters": dict(offer.settings), **offer.origin},
            "attack": {} if assault is None else {"parameters": dict(assault.offer.settings), **assault.offer.origin},
            "rule": None if prepared is None else prepared.rule,
        }
        cell = Cell(
            key="",
            dataset=self.dataset,
            data_digest=self.data_digest,
            classifier=self.classifier,
            classifier_digest=self.classifier_digest,
            defense=offer.spec.name,
            defense_digest=UNAVAILABLE if prepared is None else prepared.digest,
            threshold=None if prepared is None else prepared.deployed.threshold,
            attack=CLEAN if assault is None else assault.name,
            knowledge="none" if assault is None else assault.offer.spec.knowledge,
            epsilon="0" if assault is None else assault.epsilon,
            seed=self.seed,
            device=self.device,
            settings=canonical_json(settings),
        )
        fields = {name: value for name, value in asdict(cell).items() if name != "key"}
        return PlannedCell(cell=Cell(**{**fields, "key": settings_digest(fields)}), prepared=prepared, assault=assault)


def _assaults(attacks: Sequence[Offer], epsilons: Sequence[str]) -> Iterator[Assault | None]:
    yield None
    for offer in attacks:
        for epsilon in epsilons:
            yield Assault(offer=offer, epsilon=epsilon)


def run_id(cells: Sequence[PlannedCell], images: int) -> str:
    """Return the id of a request: twelve hexadecimal digits that its cells and number of images determine."""
    return settings_digest({"cells": [planned.cell.key for planned in cells], "images": images})[:12]
