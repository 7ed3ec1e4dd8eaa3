"""Discovery of plugins through entry points, and the catalog of what they offer."""
