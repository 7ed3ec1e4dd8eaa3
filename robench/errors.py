"""Errors that robench expects. Each says what is wrong, where, and what to do.

They are caught once, in ``robench.cli.main``; every other exception is a defect and keeps its traceback.
"""

from __future__ import annotations

import difflib
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class RobenchError(Exception):
    """Something went wrong that a user can mend.

    Args:
        message: What is wrong and where, naming the offender.
        hint: What to do about it, as an instruction; empty when the message says it all.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(RobenchError):
    """The command line, an environment variable or benchmarks.toml asks for something impossible."""

    exit_code = 2


class DataError(RobenchError):
    """A data set or an archive of results is missing, truncated, altered, or cannot be downloaded."""

    exit_code = 2


class MissingDataError(DataError):
    """The files of a data set are not here: nothing is wrong with them."""


class StoreError(RobenchError):
    """The result store cannot be read or written."""

    exit_code = 2


class PluginError(RobenchError):
    """A plugin broke its contract. It costs that plugin only."""


class IncompleteError(RobenchError):
    """A run stopped before its end; what is stored is intact and the same command resumes."""

    exit_code = 3


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean "..."?``, or the known names where none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known: {', '.join(names)}" if names else "there is none"


def describe_exception(error: BaseException) -> str:
    """Return one line with type, message and the place where a plugin's exception was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno}, in {frame.name})"


@contextmanager
def blaming(plugin: str) -> Iterator[None]:
    """Turn whatever a plugin's code raises into a ``PluginError`` that names it; robench's own errors pass.

    Args:
        plugin: Kind and name, such as ``classifier paper-a``.

    Raises:
        PluginError: If anything else than a ``RobenchError`` is raised.
    """
    try:
        yield
    except RobenchError:
        raise
    except (Exception, SystemExit) as error:
        message = f"{plugin} failed: {describe_exception(error)}"
        raise PluginError(message) from error
