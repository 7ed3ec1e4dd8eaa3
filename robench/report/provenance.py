"""What a report says about weights, data and thresholds.

The details of a run are JSON that an older or newer robench may have written: a missing key leaves out its part of the
text, never the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from robench.api.records import FAILED_PLUGINS

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIGITS = 12
"""Shown of a SHA-256: enough to tell two files apart, short enough to compare by eye."""


def has_threshold(details: Mapping[str, object], defense: str) -> bool:
    """Tell whether a defense is known to be able to reject."""
    return entry(entry(details, "defenses"), defense).get("threshold") is not None


def provenance_lines(details: Mapping[str, object]) -> tuple[str, ...]:
    """Describe data, weights, thresholds and environment, a line each.

    Args:
        details: Of a ``RunSummary``.

    Returns:
        Lines without line feeds; none when nothing is known.
    """
    return tuple(one_line(line) for line in _lines(details))


def failed_plugin_lines(details: Mapping[str, object]) -> tuple[str, ...]:
    """Name the plugins that could not be loaded, a line each.

    Args:
        details: Of a ``RunSummary``.
    """
    failed = details.get(FAILED_PLUGINS)
    if not isinstance(failed, Sequence):
        return ()
    return tuple(
        one_line(
            f"not loaded: plugin {item.get('entry_point')} of {item.get('distribution')} {item.get('version')}: "
            f"{item.get('reason')}"
        )
        for item in failed
        if isinstance(item, Mapping)
    )


def one_line(text: str) -> str:
    """Make foreign text safe to print: control characters and line feeds become single blanks."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _lines(details: Mapping[str, object]) -> Iterator[str]:
    digests = {"data": details.get("data_digest"), "classifier": details.get("classifier_digest")}
    known = [f"{name} {digest[:_DIGITS]}" for name, digest in digests.items() if isinstance(digest, str)]
    if known:
        yield f"SHA-256: {', '.join(known)}"
    defenses = entry(details, "defenses")
    for name in defenses:
        yield _defense_line(name, entry(defenses, name))
    changed = entry(details, "parameters_changed")
    settings = [f"{name}.{text}" for name, texts in changed.items() if isinstance(texts, list) for text in texts]
    if settings:
        yield f"parameters that differ from the defaults: {', '.join(settings)}"
    environment = details.get("environment")
    if isinstance(environment, Mapping):
        environment = ", ".join(f"{name} {value}" for name, value in environment.items())
    if environment:
        yield f"environment: {environment}"


def _defense_line(name: str, facts: Mapping[str, object]) -> str:
    digest = facts.get("digest")
    label = f"{name} {digest[:_DIGITS]}" if isinstance(digest, str) else name
    threshold = facts.get("threshold")
    searched = [f"searched in {facts['searched_in']}, judged in float32"] if facts.get("searched_in") else []
    if threshold is None:
        parts = ["never rejects", *searched] if "threshold" in facts else searched
        return f"{label}: {', '.join(parts)}" if parts else label
    parts = [
        f"rejects scores above {threshold:.4g}" if isinstance(threshold, float | int) else f"threshold {threshold}"
    ]
    rule, rate, images = (
        facts.get(key) for key in ("threshold_rule", "false_positive_rate_validation", "validation_images")
    )
    if rule is not None:
        parts.append(f"rule {rule}")
    if isinstance(rate, float | int):
        among = f" of {images:,} validation images" if isinstance(images, int) else " of validation images"
        parts.append(f"{100 * rate:.2f} %{among} rejected")
    return f"{label}: {', '.join([*parts, *searched])}"


def entry(mapping: Mapping[str, object], key: str) -> Mapping[str, object]:
    """Return a mapping within a mapping; an empty one where there is none, or something else."""
    value = mapping.get(key)
    return value if isinstance(value, Mapping) else {}
