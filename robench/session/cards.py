"""Evaluation cards at the end of a run, from what the store holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from robench.analysis.card import build_card
from robench.session.evidence import gather_evidence
from robench.session.workbench import BASELINE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robench.analysis.evidence import Evidence
    from robench.api.records import Card, RunSummary
    from robench.storage.store import ResultStore


def write_cards(store: ResultStore, summary: RunSummary) -> tuple[Card, ...]:
    """Write and store a card for each defense of a run that has all outcomes it needs.

    A card that says the same as the newest one is not stored again.

    Args:
        store: Where the run is.
        summary: Of the run.
    """
    known = {card.defense: card for card in summary.cards}
    cards = build_cards(gather_evidence(store, summary), summary)
    for defense, card in cards.items():
        if defense not in known or replace(known[defense], created=card.created) != card:
            store.add_card(summary.run.id, card)
    return tuple(cards.values())


def build_cards(evidence: Mapping[str, Evidence], summary: RunSummary) -> dict[str, Card]:
    """Write the card of each defense, and store none.

    Args:
        evidence: By defense.
        summary: Of their run.
    """
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        defense: build_card(
            own, None if defense == BASELINE else evidence.get(BASELINE), summary.run, summary.details, created
        )
        for defense, own in evidence.items()
    }
