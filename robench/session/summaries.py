"""What the store says of a run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from robench.analysis.summary import summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.records import CellCounts, Run, RunSummary
    from robench.storage.store import ResultStore


def summarise_stored(store: ResultStore, run: Run, counts: Sequence[CellCounts] | None = None) -> RunSummary:
    """Summarise a run with the newest evaluation card of each defense.

    Args:
        store: Where the run is.
        run: The request.
        counts: Of its cells, for whoever has them already.
    """
    summary = summarise(run, store.counts(run.id) if counts is None else counts, store.member_counts(run.id))
    cards = store.cards(run.id)
    return dataclasses.replace(summary, cards=tuple(cards[defense] for defense in summary.defenses if defense in cards))
