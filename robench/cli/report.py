"""``robench report``."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session, print_report, print_variants, stdout_console
from robench.errors import UsageError

if TYPE_CHECKING:
    from robench.api.published import PublishedComparison


def report(
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Beginning of a run's id (default: the newest).")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="table (default), json, csv or markdown.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="NAME", help="The newest run of this suite (default: of any).")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="NAME", help="Beside published figures: paper, or a CSV file of them."),
    ] = None,
    json: options.Json = False,
    db: options.Db = None,
) -> None:
    """Show a stored run, or put it beside published figures."""
    from robench.report.formats import FORMATS

    if form is not None and form not in FORMATS:
        message = f'--format: unknown format "{form}"'
        raise UsageError(message, f"choose one of {', '.join(FORMATS)}")
    if json and form not in {None, "json"}:
        message = f"--json and --format {form} ask for two formats"
        raise UsageError(message, "leave one of them out")
    session = open_session()
    chosen, store = "json" if json else form or "table", session.paths(db=db).db
    if suite is not None and run is None and against is None and (variants := session.variants(store, suite)):
        print_variants(suite, variants, chosen)
        return
    summary = session.summary(store, run, suite)
    if against is None:
        print_report(summary, chosen)
    else:
        _print_published(session.compare_published(summary, against), chosen)


def _print_published(comparison: "PublishedComparison", form: str) -> None:
    from robench.report.published import PUBLISHED_FORMATS, print_published

    if form == "table":
        print_published(comparison, stdout_console())
    elif form in PUBLISHED_FORMATS:
        sys.stdout.write(PUBLISHED_FORMATS[form](comparison))
    else:
        message = f"--against has no format {form}"
        raise UsageError(message, f"choose one of {', '.join(PUBLISHED_FORMATS)}")
