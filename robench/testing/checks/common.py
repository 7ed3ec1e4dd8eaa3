"""Checks that several kinds share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robench.registry import Spec
    from robench.testing.benches.bench import Bench


def is_offered(bench: Bench[Spec]) -> None:
    """An installed distribution offers it through an entry point, and its code can be digested."""
    bench.look_up().code_digest()


def takes_its_defaults(bench: Bench[Spec]) -> None:
    """Its parameters can be made from defaults, and every default fits its type."""
    bench.configure()
