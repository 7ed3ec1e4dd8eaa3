"""Plugins that load, and then break one rule each."""
