"""A run as comma-separated values: a line for every defense and attack at every epsilon."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from robench.api.records import CLEAN, REJECTION
from robench.report.provenance import entry

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
    "images",
    "complete",
    "threshold",
    "data_digest",
    "classifier_digest",
    "defense_digest",
    "robench",
    "suite",
    "variant",
)
"""Of the file; ``docs/tables.md`` explains them."""


_NOT_AFTER_ERRORS = "accuracy while rejection is sought"
"""The search for rejections does not try to fool: its lines are no robustness."""


def to_csv(*summaries: RunSummary) -> str:
    """Render clean and attacked results of one run or several as comma-separated values.

    On clean images, where ``attack`` is ``clean`` and ``epsilon`` is 0, ``accuracy`` counts correct images only; under
    an attack, correct or rejected ones. The figures of evaluation cards have their names under ``metric``, no attack,
    and their values under ``accuracy``; nothing stands for infinity.

    Args:
        summaries: What to render.

    Returns:
        A header line and one line per result, each ending with a line feed.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for summary in summaries:
        writer.writerows({**line, **_provenance(summary, line["defense"])} for line in _lines(summary))
    return text.getvalue()


def _lines(summary: RunSummary) -> Iterator[dict[str, Any]]:
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
        name = _NOT_AFTER_ERRORS if result.attack == REJECTION else "robust accuracy"
        yield {**shared, **asdict(result), "metric": name, "verdict": verdicts.get(result.defense, "")}
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


def _provenance(summary: RunSummary, defense: str) -> dict[str, object]:
    """Return what the figures of a defense were made from; what is not known stays empty."""
    facts = entry(entry(summary.details, "defenses"), defense)
    return {
        "images": summary.run.images,
        "complete": "yes" if summary.complete else "no",
        "threshold": facts.get("threshold"),
        "data_digest": summary.details.get("data_digest"),
        "classifier_digest": summary.details.get("classifier_digest"),
        "defense_digest": facts.get("digest"),
        "robench": entry(summary.details, "environment").get("robench"),
        "suite": summary.details.get("suite"),
        "variant": summary.details.get("variant"),
    }
