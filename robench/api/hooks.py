"""The marker that plugin functions carry. The hooks themselves are specified in ``robench.registry.hookspecs``."""

import pluggy

PROJECT = "robench"

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks ``robench_datasets``, ``robench_classifiers``, ``robench_defenses`` or ``robench_attacks`` in a plugin."""
