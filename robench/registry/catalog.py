"""What there is to choose from: every spec by kind and name, and every plugin that failed, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from robench.errors import UsageError, suggestion
from robench.registry.code import digest_code
from robench.registry.guard import SlowPluginError, seconds_allowed, stdout_to_stderr, time_limit
from robench.registry.loader import FailedPlugin, FoundPlugin, describe, find_plugins, load_plugin
from robench.registry.validation import SPEC_TYPES, Kind, Spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robench.api import AttackSpec, ClassifierSpec, DatasetSpec, DefenseSpec

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True, kw_only=True)
class Entry(Generic[S]):
    """One thing that can be chosen, and who offers it.

    Attributes:
        kind: What it is.
        name: The name of the spec.
        spec: As the plugin's hook returned it.
        distribution, version: Of the plugin.
        entry_point: Name of the plugin's entry point.
        module: Dotted name of the plugin's module.
    """

    kind: Kind
    name: str
    spec: S
    distribution: str
    version: str
    entry_point: str
    module: str

    def failed(self, reason: str) -> FailedPlugin:
        """Return the record of its failure."""
        return FailedPlugin(
            entry_point=self.entry_point, distribution=self.distribution, version=self.version, reason=reason
        )

    def code_digest(self) -> str:
        """Return the SHA-256 of the plugin's code, as hexadecimal text.

        Raises:
            PluginError: If its files cannot be read.
        """
        return digest_code(self.module)


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """Everything that plugins offer, by name.

    Attributes:
        datasets, classifiers, defenses, attacks: The built-in ones first, then by distribution and entry point name.
        failures: What could not be loaded. It matters only to who wants to use it.
    """

    datasets: Mapping[str, Entry[DatasetSpec]]
    classifiers: Mapping[str, Entry[ClassifierSpec[Any]]]
    defenses: Mapping[str, Entry[DefenseSpec[Any]]]
    attacks: Mapping[str, Entry[AttackSpec[Any]]]
    failures: tuple[FailedPlugin, ...]

    def dataset(self, name: str) -> Entry[DatasetSpec]:
        """Return a data set.

        Raises:
            UsageError: If there is none of this name.
        """
        return self._find("dataset", self.datasets, name)

    def classifier(self, name: str) -> Entry[ClassifierSpec[Any]]:
        """Return a classifier.

        Raises:
            UsageError: If there is none of this name.
        """
        return self._find("classifier", self.classifiers, name)

    def defense(self, name: str) -> Entry[DefenseSpec[Any]]:
        """Return a defense.

        Raises:
            UsageError: If there is none of this name.
        """
        return self._find("defense", self.defenses, name)

    def attack(self, name: str) -> Entry[AttackSpec[Any]]:
        """Return an attack.

        Raises:
            UsageError: If there is none of this name.
        """
        return self._find("attack", self.attacks, name)

    def names(self) -> Mapping[Kind, tuple[str, ...]]:
        """Return the names of each kind."""
        return {
            "dataset": tuple(self.datasets),
            "classifier": tuple(self.classifiers),
            "defense": tuple(self.defenses),
            "attack": tuple(self.attacks),
        }

    def remark(self) -> str:
        """Return what may explain that a name is unknown; empty where every plugin was loaded."""
        count = len(self.failures)
        return f"failed to load: {count}, see `robench plugins list`" if count else ""

    def _find(self, kind: Kind, entries: Mapping[str, Entry[S]], name: str) -> Entry[S]:
        if name in entries:
            return entries[name]
        message = f'unknown {kind} "{name}"'
        hint, remark = suggestion(name, entries), self.remark()
        raise UsageError(message, f"{hint} ({remark})" if remark else hint)


def load_catalog(environ: Mapping[str, str]) -> Catalog:
    """Load all plugins. One that fails costs itself only.

    What plugins print while they load goes to stderr: stdout belongs to the results.

    Args:
        environ: ``ROBENCH_DISABLE_PLUGINS`` is ``1``, ``true``, ``yes`` or ``on`` for built-ins only, or the names of
            distributions to leave out, separated by commas. ``ROBENCH_PLUGIN_TIMEOUT`` is the number of seconds that
            each may take to load.

    Raises:
        UsageError: If that number is none.
    """
    seconds = seconds_allowed(environ)
    plugins, failures = find_plugins(environ)
    tables: dict[Kind, dict[str, Entry[Any]]] = {kind: {} for kind in SPEC_TYPES}
    with stdout_to_stderr():
        for plugin in plugins:
            try:
                with time_limit(seconds):
                    offers = load_plugin(plugin)
            except (Exception, SystemExit, SlowPluginError) as error:  # noqa: BLE001  # a plugin may fail in any way, and only for itself
                failures.append(plugin.failed(describe(error)))
            else:
                failures.extend(_add(tables, plugin, offers))
    return Catalog(
        datasets=MappingProxyType(tables["dataset"]),
        classifiers=MappingProxyType(tables["classifier"]),
        defenses=MappingProxyType(tables["defense"]),
        attacks=MappingProxyType(tables["attack"]),
        failures=tuple(failures),
    )


def _add(
    tables: dict[Kind, dict[str, Entry[Any]]], plugin: FoundPlugin, offers: list[tuple[Kind, Spec]]
) -> list[FailedPlugin]:
    """Enter what a plugin offers. A name that is taken stays with its first owner; returns what was refused."""
    refused = []
    for kind, spec in offers:
        entry = Entry(
            kind=kind,
            name=spec.name,
            spec=spec,
            distribution=plugin.distribution,
            version=plugin.version,
            entry_point=plugin.entry_point.name,
            module=plugin.entry_point.module,
        )
        owner = tables[kind].setdefault(spec.name, entry)
        if owner is not entry:
            taken = f'{kind} "{spec.name}" is already offered by {owner.distribution} {owner.version}'
            refused.append(plugin.failed(f"{taken}; the one of {plugin.distribution} {plugin.version} is refused"))
    return refused
