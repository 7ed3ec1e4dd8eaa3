"""The Python API and composition root: configuration, plugins, store and engine put together."""

from robench.session.session import Session

__all__ = ["Session"]
