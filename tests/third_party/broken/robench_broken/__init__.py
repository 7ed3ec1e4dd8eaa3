"""Plugins that fail in various ways."""
