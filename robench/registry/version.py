"""Which version of the plugin interface a plugin is written for."""

from __future__ import annotations

from robench.api import VERSION
from robench.errors import PluginError

DECLARATION = "ROBENCH_API"
"""What a plugin module may call the major version that it is written for."""

MAJOR = int(VERSION.partition(".")[0])


def check_version(declared: object) -> None:
    """Refuse a plugin that is written for another major version of the interface.

    Args:
        declared: The ``ROBENCH_API`` of its module.

    Raises:
        PluginError: If it is another version, or none.
    """
    if type(declared) is not int:
        message = f"{DECLARATION} is {declared!r}"
        raise PluginError(message, f"declare the major version as a whole number: {DECLARATION} = {MAJOR}")
    if declared != MAJOR:
        message = f"it is written for version {declared} of the plugin interface, and this robench has {VERSION}"
        older = f"install a version of it for {MAJOR}"
        raise PluginError(message, f"update robench, or {older}" if declared > MAJOR else f"update it, or {older}")
