"""Which plugins are to be checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from robench.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.registry import Catalog, Entry, FailedPlugin

_BUILT_IN = "robench"

Chosen = tuple["list[Entry[Any]]", "list[FailedPlugin]"]


def choose(catalog: Catalog, names: Sequence[str], *, everything: bool = False) -> Chosen:
    """Choose plugins, and failed ones, by name.

    Args:
        catalog: What there is.
        names: Each the name of a spec, ``kind:name``, the name of a distribution, or the entry point of a plugin that
            failed to load. Without any, all plugins that are not built in.
        everything: Without names, take the built-in ones too.

    Raises:
        UsageError: If a name is unknown or ambiguous, or nothing is left to check.
    """
    entries = [entry for table in _tables(catalog) for entry in table.values()]
    if not names:
        chosen = [entry for entry in entries if everything or entry.distribution != _BUILT_IN]
        if not chosen and not catalog.failures:
            message = "there is nothing to check: all plugins that are installed are built in"
            raise UsageError(message, "install the plugin, or check the built-in ones with --all")
        return chosen, list(catalog.failures)
    found: dict[tuple[str, str], Entry[Any]] = {}
    failed: dict[FailedPlugin, None] = {}
    for name in names:
        own, failures = _named(name, entries, catalog)
        found |= {(entry.kind, entry.name): entry for entry in own}
        failed |= dict.fromkeys(failures)
    return list(found.values()), list(failed)


def _named(name: str, entries: Sequence[Entry[Any]], catalog: Catalog) -> Chosen:
    specs = [entry for entry in entries if name in {entry.name, f"{entry.kind}:{entry.name}"}]
    if len(specs) > 1:
        message = f'there are several plugins of the name "{name}"'
        raise UsageError(message, f"say which: {', '.join(f'{entry.kind}:{entry.name}' for entry in specs)}")
    if specs:
        return specs, []
    own = [entry for entry in entries if _normalised(entry.distribution) == _normalised(name)]
    failures = [
        item
        for item in catalog.failures
        if name == item.entry_point or _normalised(item.distribution) == _normalised(name)
    ]
    if not own and not failures:
        known = {entry.name for entry in entries} | {entry.distribution for entry in entries}
        message = f'no plugin or distribution is called "{name}"'
        raise UsageError(message, suggestion(name, known))
    return own, failures


def _normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _tables(catalog: Catalog) -> list[Any]:
    return [catalog.datasets, catalog.classifiers, catalog.defenses, catalog.attacks]
