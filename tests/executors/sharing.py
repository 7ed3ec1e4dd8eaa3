"""Runs that several processes share, and what they stored."""

from __future__ import annotations

import json
import os
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from robench.report.formats import render
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from robench.api.records import ImageOutcome, RunSummary
    from tests.conftest import ToyLab

EVERYTHING: dict[str, Any] = {"attacks": ("fgsm", "toy-corner", "toy-closest", "adaptive"), "batch_size": 16}
"""Changes of a toy run: attacks of all forms, ensembles, and enough batches to share."""


def stored(lab: ToyLab, summary: RunSummary, db: str = "toys.db") -> dict[tuple[str, ...], tuple[ImageOutcome, ...]]:
    """Return all outcomes of a run and of the members of its ensembles, by cell."""
    with ResultStore.open(str(lab.folder / db), create=False) as store:
        counts = [*store.counts(summary.run.id), *store.member_counts(summary.run.id)]
        return {
            (count.cell.defense, count.cell.attack, count.cell.epsilon, count.cell.key): store.outcomes(
                summary.run.id, count.cell.key
            )
            for count in counts
        }


def report(summary: RunSummary) -> dict[str, Any]:
    """Return a report as JSON, without when it was made, the seconds in it and the command."""
    text = re.sub(r"[\d.]+ s\)", "… s)", render(summary, "json"))
    found: dict[str, Any] = json.loads(text)
    for name in ("created", "command", "seconds"):
        found.pop(name, None)
    for card in found["cards"]:
        del card["created"]
    return found


needs_ray = pytest.mark.skipif(
    find_spec("ray") is None and "REQUIRE_RAY" not in os.environ,
    reason='Ray is not installed: pip install "robench[ray]"',
)
"""Marks what needs Ray: skipped where it is not installed, but failing there under REQUIRE_RAY=1."""
