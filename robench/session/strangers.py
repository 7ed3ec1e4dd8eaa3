"""What the settings name and nothing here has: misspelt, it would have no effect in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.config import environment
from robench.errors import suggestion
from robench.registry.loader import DISABLE_VARIABLE, disabled_strangers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from robench.config.file import Config


def find_strangers(config: Config, environ: Mapping[str, str], known: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Say which variables, which names in them and which tables of a benchmarks.toml mean nothing, a line each.

    Args:
        config: The file.
        environ: The ROBENCH_* variables.
        known: The names that plugins offer, by kind.
    """
    if unknown := environment.strangers(environ):
        yield unknown
    for name in disabled_strangers(environ):
        yield f"{DISABLE_VARIABLE}: {name} is no installed distribution, and so nothing of it is left out"
    settable = {name for kind, names in known.items() if kind != "dataset" for name in names}
    tables = [
        (("parameters",), config.parameters, settable),
        (("datasets",), config.datasets, known["dataset"]),
        *((("suites", suite, "parameters"), own, settable) for suite, own in config.suite_parameters.items()),
        *(
            (("suites", suite, "variants", variant), own, settable)
            for suite, variants in config.variants.items()
            for variant, own in variants.items()
        ),
    ]
    for keys, found, names in tables:
        for name in sorted(set(found) - set(names)):
            yield f"{config.place(*keys, name)}: names nothing that is installed; {suggestion(name, names)}"
