"""Published figures by name: those that come with robench, and files of the user."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from robench.analysis.published import PAPER, compare_published, read_published
from robench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robench.api.published import PublishedComparison
    from robench.api.records import RunSummary

_RATES = MappingProxyType({"mnist": 0.001, "fashion-mnist": 0.01, "cifar10": 0.03})
"""False-positive rates by data set, as the paper chose them (section 5)."""


def compare_with(summary: RunSummary, reference: str) -> PublishedComparison:
    """Put a run beside published figures; see ``Session.compare_published``."""
    dataset = summary.run.dataset
    if reference == PAPER:
        text = files("robench.analysis").joinpath(f"{PAPER}.csv").read_text(encoding="utf-8")
        settings: Mapping[str, object] = {
            "images": 10_000,
            "profile": "paper",
            "calibration": "paper-grid",
            "false_positive_rate": _RATES.get(dataset),
            "parameters_changed": {},
        }
    else:
        text, settings = _read(reference), {}
    published = read_published(text, f"--against {reference}")
    if all(figure.dataset != dataset for figure in published):
        known = ", ".join(sorted({figure.dataset for figure in published})) or "none"
        message = f"--against {reference}: it has no figures of the data set {dataset}"
        raise UsageError(message, f"it has those of: {known}")
    return compare_published(reference, published, summary, settings)


def _read(name: str) -> str:
    hint = f"give {PAPER}, or a CSV file of published figures"
    if not name:  # which pathlib takes for the working directory
        message = '--against "": there is no such file'
        raise UsageError(message, hint)
    try:
        return Path(name).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        what = "it is not text" if isinstance(error, UnicodeError) else getattr(error, "strerror", None) or error
        message = f"--against {name}: {what}"
        raise UsageError(message, hint) from error
