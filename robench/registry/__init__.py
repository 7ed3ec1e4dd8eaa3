"""Discovery of plugins through entry points, and the catalog of what they offer."""

from robench.registry.catalog import Catalog, Entry, load_catalog
from robench.registry.loader import FailedPlugin
from robench.registry.validation import Kind, Spec

__all__ = ["Catalog", "Entry", "FailedPlugin", "Kind", "Spec", "load_catalog"]
