"""A run as comma-separated values: a line for every defense and attack at every epsilon."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import TYPE_CHECKING

from robench.api.records import CLEAN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from robench.api.records import RunSummary

COLUMNS = (
    "run",
    "dataset",
    "classifier",
    "profile",
    "seed",
    "defense",
    "attack",
    "knowledge",
    "norm",
    "epsilon",
    "n",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "correct",
    "wrong",
    "rejected",
    "metric",
    "verdict",
)


def to_csv(summary: RunSummary) -> str:
    """Render clean and attacked results as comma-separated values.

    On clean images, where ``attack`` is ``clean`` and ``epsilon`` is 0, ``accuracy`` counts correct images only; under
    an attack, correct or rejected ones. The figures of evaluation cards have their names under ``metric``, no attack,
    and their values under ``accuracy``; nothing stands for infinity.

    Args:
        summary: What to render.

    Returns:
        A header line and one line per result, each ending with a line feed.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_lines(summary))
    return text.getvalue()


def _lines(summary: RunSummary) -> Iterator[dict[str, object]]:
    run = summary.run
    shared = {
        "run": run.id,
        "dataset": run.dataset,
        "classifier": run.classifier,
        "profile": run.profile,
        "seed": run.seed,
    }
    verdicts = {card.defense: card.verdict for card in summary.cards}
    for clean in summary.clean:
        told = {"metric": "accuracy", "verdict": verdicts.get(clean.defense, "")}
        yield {**shared, "attack": CLEAN, "knowledge": "none", "norm": "none", "epsilon": "0", **asdict(clean), **told}
    for result in summary.results:
        yield {**shared, **asdict(result), "metric": "robust accuracy", "verdict": verdicts.get(result.defense, "")}
    for card in summary.cards:
        for metric in card.metrics:
            yield {
                **shared,
                "defense": card.defense,
                "norm": summary.norm,
                "epsilon": metric.epsilon,
                "n": metric.n,
                "accuracy": metric.value,
                "accuracy_low": metric.low,
                "accuracy_high": metric.high,
                "metric": metric.name,
                "verdict": card.verdict,
            }
