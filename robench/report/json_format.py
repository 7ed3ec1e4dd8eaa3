"""A run as one JSON object, for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from robench.api.records import FAILED_PLUGINS

if TYPE_CHECKING:
    from robench.api.records import RunSummary


def to_json(summary: RunSummary) -> str:
    """Render a run as one JSON object, see ``to_document``.

    Args:
        summary: What to render.

    Returns:
        Indented JSON in ASCII, ending with a line feed.

    Raises:
        ValueError: A number is not finite, which JSON cannot express.
    """
    return json.dumps(to_document(summary), indent=2, allow_nan=False) + "\n"


def to_document(summary: RunSummary) -> dict[str, object]:
    """Return a run as what JSON can express.

    The keys of its rows are the fields of the records of the same name; accuracies are shares in [0, 1], epsilons
    exact decimal text, ``correct``, ``wrong`` and ``rejected`` numbers of images. ``failures`` are cells,
    ``failed_plugins`` what could not be loaded, asked for or not.

    Args:
        summary: What to render.
    """
    run = summary.run
    return {
        "run": run.id,
        "complete": summary.complete,
        "dataset": run.dataset,
        "classifier": run.classifier,
        "profile": run.profile,
        "images": run.images,
        "seed": run.seed,
        "norm": summary.norm,
        "clean": [asdict(row) for row in summary.clean],
        "results": [asdict(row) for row in summary.results],
        "worst": [asdict(row) for row in summary.worst],
        "failures": [asdict(row) for row in summary.failures],
        FAILED_PLUGINS: summary.details.get(FAILED_PLUGINS, []),
        "cards": [asdict(card) for card in summary.cards],
        "details": dict(summary.details),
    }
