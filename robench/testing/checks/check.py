"""What a check is: a function that raises where a plugin breaks a rule."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class NotRun(Exception):  # noqa: N818 (it is no error: a check that does not concern a plugin has nothing to say)
    """A check has nothing to say: the rule does not concern this plugin, or something that it needs is missing."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One rule that a plugin must keep.

    Attributes:
        name: Kebab-case.
        summary: What it shows, in one line.
        run: ``run(bench)`` raises ``PluginError`` where the plugin on the bench breaks the rule, saying what was seen
            and what to do, and ``NotRun`` where the rule does not concern it. Any other exception is the plugin's.
    """

    name: str
    summary: str
    run: Callable[[Any], None]

    @property
    def test(self) -> str:
        """Name of the pytest test."""
        return f"test_{self.name.replace('-', '_')}"


def checks(*functions: Callable[[Any], None]) -> tuple[Check, ...]:
    """Make checks of functions: the name is the function's, the summary is the first line of its docstring."""
    return tuple(
        Check(
            name=function.__name__.replace("_", "-"),
            summary=(inspect.getdoc(function) or "").partition("\n")[0].rstrip("."),
            run=function,
        )
        for function in functions
    )
