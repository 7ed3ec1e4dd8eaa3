"""What every command needs from its surroundings. Imports wait until a command runs: ``--help`` needs none."""

import os
import re
import shlex
import sys
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from robench.errors import RobenchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from robench.api.published import PublishedComparison
    from robench.api.records import RunSummary
    from robench.session import Session


def open_session(*, config: Path | None = None, quiet: bool = True) -> "Session":
    """Return a session on the real environment that shows progress on stderr; only warnings if quiet."""
    from robench.cli.progress import TerminalProgress, WarningsOnly
    from robench.session import Session

    progress = WarningsOnly(sys.stderr) if quiet else TerminalProgress(sys.stderr)
    return Session(environ=os.environ, cwd=Path.cwd(), config=config, progress=progress)


def stdout_for_results_only() -> AbstractContextManager[object]:
    """Send to stderr what plugins, their libraries and their subprocesses print while they work."""
    from robench.registry.guard import stdout_to_stderr

    return stdout_to_stderr()


@contextmanager
def about_variant(session: "Session", name: str | None) -> "Iterator[None]":
    """Say of progress and of robench's own errors which variant of a suite they are about; None where it has none."""
    if name is not None:
        session.note(f"variant {name}")
    try:
        yield
    except RobenchError as error:
        if name is not None:
            error.message = f"variant {name}: {error.message}"
        raise


def command_line() -> str:
    """Return the present command as one would type it, for screens and records: without passwords of databases."""
    return shlex.join(["robench", *map(_without_password, sys.argv[1:])])


def _without_password(word: str) -> str:
    word = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", word)
    return re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1***", word)


def stdout_console() -> "Console":
    """Return a rich console on stdout, which is for results only; nothing would fit the width of a ``COLUMNS=0``."""
    from rich.console import Console

    nowhere = os.environ.get("COLUMNS", "").strip().lstrip("0") == ""
    return Console(file=sys.stdout, _environ={**os.environ, "COLUMNS": ""} if nowhere else None)


def print_report(summary: "RunSummary", form: str) -> None:
    """Print a run on stdout; a terminal's table fits its width."""
    from robench.report.formats import render
    from robench.report.terminal import print_summary

    if form == "table":
        print_summary(summary, stdout_console())
    else:
        sys.stdout.write(render(summary, form))


def print_variants(suite: str, summaries: "Mapping[str, RunSummary]", form: str) -> None:
    """Print the runs of a suite with variants on stdout, side by side."""
    from robench.report import variants

    if form == "table":
        variants.print_variants(suite, summaries, stdout_console())
    else:
        sys.stdout.write(variants.render_variants(suite, summaries, form))


def print_published(comparison: "PublishedComparison", form: str) -> None:
    """Print a run beside published figures on stdout."""
    from robench.report import published

    if form == "table":
        published.print_published(comparison, stdout_console())
    else:
        sys.stdout.write(published.render_published(comparison, form))
