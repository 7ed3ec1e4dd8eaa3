"""``robench leaderboard``."""

from typing import Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session
from robench.errors import UsageError


def leaderboard(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="STORE...", help="Stores, and archives that robench db export has written."),
    ] = None,
    output: options.Output = None,
    epsilons: Annotated[
        str | None, typer.Option("--epsilons", metavar="LIST", help="Ranked; by default those of benchmarks.toml.")
    ] = None,
    config: options.Config = None,
) -> None:
    """Rank the defenses of many stores on one page, by what attacks that know them leave of each image."""
    from robench.cli.output import check_output, write_output
    from robench.report.html.leaderboard import leaderboard_html

    if not sources:
        message = "there is nothing to rank"
        raise UsageError(message, "name stores or archives: robench leaderboard a.db b.zip -o leaderboard.html")
    if output is None:
        message = "--output is missing"
        raise UsageError(message, "name the page: --output leaderboard.html")
    check_output(output)
    page = leaderboard_html(open_session(config=config).leaderboard(sources, epsilons))
    write_output(output, page.encode())
