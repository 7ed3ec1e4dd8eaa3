"""``robench report``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options
from robench.cli.context import (
    open_session,
    print_report,
    print_variants,
    stdout_console,
    stdout_for_results_only,
)
from robench.errors import UsageError

if TYPE_CHECKING:
    from robench.api.published import PublishedComparison
    from robench.session import Session

_HTML = "html"


def report(
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Beginning of a run's id (default: the newest).")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="table (default), json, csv, markdown or html.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="NAME", help="The newest run of this suite (default: of any).")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="NAME", help="Beside published figures: paper, or a CSV file of them."),
    ] = None,
    json: options.Json = False,
    output: options.Output = None,
    db: options.Db = None,
    data_dir: options.DataDir = None,
) -> None:
    """Show a stored run, or put it beside published figures. As html it is one page that works without a network."""
    from robench.cli.output import stdout_into
    from robench.report.formats import FORMATS

    if form is not None and form not in {*FORMATS, _HTML}:
        message = f'--format: unknown format "{form}"'
        raise UsageError(message, f"choose one of {', '.join((*FORMATS, _HTML))}")
    if json and form not in {None, "json"}:
        message = f"--json and --format {form} ask for two formats"
        raise UsageError(message, "leave one of them out")
    session = open_session()
    chosen, store = "json" if json else form or "table", session.paths(db=db).db
    with stdout_into(output):
        if chosen == _HTML and against is None:
            sys.stdout.write(_page(session, store, run, suite, data_dir))
            return
        if suite is not None and run is None and against is None and (variants := session.variants(store, suite)):
            print_variants(suite, variants, chosen)
            return
        summary = session.summary(store, run, suite)
        if against is None:
            print_report(summary, chosen)
        else:
            _print_published(session.compare_published(summary, against), chosen)


def _page(session: "Session", db: str, run: str | None, suite: str | None, data_dir: Path | None) -> str:
    if sys.stdout.isatty():
        message = "a page is nothing for a terminal"
        raise UsageError(message, "name a file: --output report.html")

    from concurrent.futures import ThreadPoolExecutor

    from robench.report.html.page import bundle_library, to_html

    with ThreadPoolExecutor(1) as pool:
        library = pool.submit(bundle_library)  # takes seconds, and leaves Python alone meanwhile
        with stdout_for_results_only():  # clean images come from a plugin
            exhibit = session.exhibit(db, run, suite, data_dir=data_dir)
        return to_html(exhibit, library.result())


def _print_published(comparison: "PublishedComparison", form: str) -> None:
    from robench.report.published import PUBLISHED_FORMATS, print_published

    if form == "table":
        print_published(comparison, stdout_console())
    elif form in PUBLISHED_FORMATS:
        sys.stdout.write(PUBLISHED_FORMATS[form](comparison))
    else:
        message = f"--against has no format {form}"
        raise UsageError(message, f"choose one of {', '.join(PUBLISHED_FORMATS)}")
