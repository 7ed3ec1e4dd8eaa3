"""What the store says of a run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from robench.analysis.summary import summarise

if TYPE_CHECKING:
    from robench.api.records import Run, RunSummary
    from robench.storage.store import ResultStore


def summarise_stored(store: ResultStore, run: Run) -> RunSummary:
    """Summarise a run with the newest evaluation card of each defense."""
    summary = summarise(run, store.counts(run.id), store.member_counts(run.id))
    cards = store.cards(run.id)
    return dataclasses.replace(summary, cards=tuple(cards[defense] for defense in summary.defenses if defense in cards))
