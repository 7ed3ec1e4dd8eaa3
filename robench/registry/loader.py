"""Finds the entry points of all installed distributions and loads each of them on its own.

``pluggy`` could do it in one call, but then one broken plugin aborts all others and a foreign distribution silently
replaces a built-in name.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from robench.api.hooks import PROJECT
from robench.errors import PluginError, RobenchError
from robench.registry import hookspecs
from robench.registry.validation import SPEC_TYPES, Kind, Spec, check_hooks, check_spec, hook_name
from robench.registry.version import DECLARATION, MAJOR, check_version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

GROUP = "robench"
BUILT_IN = "robench"
DISABLE_VARIABLE = "ROBENCH_DISABLE_PLUGINS"

_ON, _OFF = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")

# Frames in which an error is noticed rather than made: import machinery, pluggy, this package.
_MACHINERY = ("<frozen", *(f"{Path(file).parent}{os.sep}" for file in (importlib.__file__, pluggy.__file__, __file__)))
_LONGEST_REASON = 500


@dataclass(frozen=True, kw_only=True)
class FailedPlugin:
    """A plugin, or one spec of it, that is not in the catalog.

    Attributes:
        entry_point: Name of the entry point; empty where the metadata cannot be read.
        distribution, version: Who offers it.
        reason: One line: what went wrong, and where it was raised.
    """

    entry_point: str
    distribution: str
    version: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class FoundPlugin:
    """An entry point of an installed distribution, not yet loaded."""

    distribution: str
    version: str
    entry_point: metadata.EntryPoint

    def failed(self, reason: str) -> FailedPlugin:
        """Return the record of this plugin's failure."""
        return FailedPlugin(
            entry_point=self.entry_point.name, distribution=self.distribution, version=self.version, reason=reason
        )


def find_plugins(environ: Mapping[str, str]) -> tuple[list[FoundPlugin], list[FailedPlugin]]:
    """Find all plugins that are not disabled: the built-in ones first, then by distribution and entry point name.

    Args:
        environ: ``ROBENCH_DISABLE_PLUGINS`` is ``1``, ``true``, ``yes`` or ``on`` for built-ins only, or the names of
            distributions to leave out, separated by commas.
    """
    left_out = {_normalise(name) for name in _disabled(environ)}
    found: dict[str, list[FoundPlugin]] = {}
    unreadable = []
    for distribution in metadata.distributions():
        try:
            plugins = _plugins_of(distribution)
        except Exception as error:  # noqa: BLE001  # another distribution's metadata may be broken in any way
            folder = distribution.locate_file("")
            reason = f"the metadata of a distribution in {folder} cannot be read: {describe(error)}"
            unreadable.append(FailedPlugin(entry_point="", distribution="unknown", version="", reason=reason))
            continue
        if plugins:
            # The same distribution may be seen twice, as editable and as installed; Python imports the first.
            found.setdefault(_normalise(plugins[0].distribution), plugins)
    order = sorted(found, key=lambda name: (name != BUILT_IN, name))
    used = [name for name in order if name == BUILT_IN or not _all_disabled(environ)]
    return [plugin for name in used if name not in left_out for plugin in found[name]], unreadable


def disabled_strangers(environ: Mapping[str, str]) -> list[str]:
    """Return the names in ``ROBENCH_DISABLE_PLUGINS`` that no installed distribution has: they leave nothing out."""
    return [name for name in _disabled(environ) if not is_installed(name)]


def is_installed(distribution: str) -> bool:
    """Say whether there is a distribution of this name."""
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def load_plugin(plugin: FoundPlugin) -> list[tuple[Kind, Spec]]:
    """Import a plugin, call its hooks and check what it offers.

    The version it is written for is looked at first: what else is wrong may follow from that.

    Raises:
        PluginError: If the plugin breaks a rule.
        Exception, SystemExit: Whatever the plugin itself raises.
    """
    if metadata.EntryPoint.pattern.match(plugin.entry_point.value) is None:
        message = f'the entry point value "{plugin.entry_point.value}" is malformed'
        raise PluginError(message, "write package.module, or package.module:object")
    offered: ModuleType | object = plugin.entry_point.load()
    check_version(getattr(sys.modules.get(plugin.entry_point.module), DECLARATION, MAJOR))
    # A manager of its own, so that a hook that fails cannot keep another plugin from being asked.
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(offered)
    check_hooks(manager, offered)
    return [(kind, check_spec(kind, spec)) for kind in SPEC_TYPES for spec in _offered(manager, kind)]


def describe(error: BaseException) -> str:
    """Return the type, the message and the place of an error, in one line."""
    if isinstance(error, RobenchError):
        return _one_line(str(error))
    details = traceback.TracebackException.from_exception(error)
    place = next((f"{at.filename}:{at.lineno}" for at in reversed(details.stack) if _is_foreign(at.filename)), "")
    message = str(details)
    if isinstance(error, SyntaxError) and error.filename:
        place, message = f"{error.filename}:{error.lineno}", error.msg
    text = _one_line(f"{type(error).__name__}: {message}")
    return f"{text} ({place})" if place else text


def _plugins_of(distribution: metadata.Distribution) -> list[FoundPlugin]:
    # Asking the text first spares parsing the metadata of every other installed distribution.
    if f"[{GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
        return []
    points = sorted(distribution.entry_points.select(group=GROUP), key=lambda point: point.name)
    name, version = distribution.metadata["Name"], distribution.version
    return [FoundPlugin(distribution=name, version=version, entry_point=point) for point in points]


def _offered(manager: pluggy.PluginManager, kind: Kind) -> list[object]:
    caller = getattr(manager.hook, hook_name(kind))
    answers: list[object] = caller()
    specs: list[object] = []
    for answer in answers:
        if not isinstance(answer, Iterable):
            message = f"{hook_name(kind)} returned {type(answer).__name__}"
            raise PluginError(message, f"return a list of {SPEC_TYPES[kind].__name__}")
        specs.extend(answer)
    # pluggy drops None from the answers, which is what a function without `return` gives.
    if len(answers) < len(caller.get_hookimpls()):
        message = f"{hook_name(kind)} returned None"
        raise PluginError(message, f"return a list of {SPEC_TYPES[kind].__name__}")
    return specs


def _all_disabled(environ: Mapping[str, str]) -> bool:
    return environ.get(DISABLE_VARIABLE, "").strip().lower() in _ON


def _disabled(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the distributions to leave out; none where the variable is a switch."""
    text = environ.get(DISABLE_VARIABLE, "").strip()
    return [] if text.lower() in (*_ON, *_OFF) else [name for part in text.split(",") if (name := part.strip())]


def _normalise(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution.strip()).lower()


def _is_foreign(filename: str) -> bool:
    return not filename.startswith(_MACHINERY)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."
