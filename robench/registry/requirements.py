"""What attacks need beyond what their distribution depends on."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.api import AttackSpec


def missing_modules(spec: AttackSpec[Any]) -> dict[str, str]:
    """Return the modules that an attack requires and that are not installed, each with what to install for it."""
    return {module: package for module, package in spec.requires.items() if not _is_installed(module)}


def _is_installed(module: str) -> bool:
    """Say whether a module can be found; nothing is imported but the packages that it is in."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a package around it is missing, or the module is half imported
        return False
