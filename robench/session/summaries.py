"""What the store says of a run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from robench.analysis.summary import parse_details, summarise
from robench.api import UsageError

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


def find_run(store: ResultStore, prefix: str | None, suite: str | None) -> Run:
    """Find a run by the beginning of its id, or the newest of a suite, or the newest of all.

    Raises:
        StoreError: There are no runs at all.
        UsageError: No run begins like that, or is of that suite; or the run is not of that suite.
    """
    found = store.find_run(prefix)
    if suite is None:
        return found
    stored = store.runs()
    suites = {run.id: parse_details(run).get("suite") for run in stored}
    for run in [found] if prefix is not None else stored:
        if suites[run.id] == suite:
            return run
    if prefix is not None:
        own = suites[found.id]
        message = f"run {found.id} is of " + (f'the suite "{own}"' if own else "no suite") + f', not of "{suite}"'
        raise UsageError(message, "name only the run, or only the suite")
    known = ", ".join(sorted({name for name in suites.values() if isinstance(name, str)})) or "none"
    message = f'the store has no run of the suite "{suite}"; it has runs of: {known}'
    raise UsageError(message, "robench run --suite NAME starts one")


def summarise_variants(store: ResultStore, suite: str) -> dict[str, RunSummary]:
    """Summarise the newest run of each variant of a suite, oldest of them first."""
    newest: dict[str, Run] = {}
    for run in store.runs():
        details = parse_details(run)
        variant = details.get("variant")
        if details.get("suite") == suite and isinstance(variant, str):
            newest.setdefault(variant, run)
    return {name: summarise_stored(store, newest[name]) for name in reversed(newest)}
