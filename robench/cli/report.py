"""``robench report``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session, print_report, stdout_for_results_only
from robench.errors import UsageError

if TYPE_CHECKING:
    from robench.session import Session

_HTML = "html"


def report(
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Beginning of a run's id (default: the newest).")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="table (default), json, csv, markdown or html.")
    ] = None,
    json: options.Json = False,
    output: options.Output = None,
    db: options.Db = None,
    data_dir: options.DataDir = None,
) -> None:
    """Show a stored run. As html it is one page with pictures, which works without a network."""
    from robench.report.formats import FORMATS, render

    if form is not None and form not in {*FORMATS, _HTML}:
        message = f'--format: unknown format "{form}"'
        raise UsageError(message, f"choose one of {', '.join((*FORMATS, _HTML))}")
    if json and form not in {None, "json"}:
        message = f"--json and --format {form} ask for two formats"
        raise UsageError(message, "leave one of them out")
    name = "json" if json else form or "table"
    session = open_session()
    if name == _HTML:
        _write(_page(session, db, run, data_dir), output)
    elif output is not None:
        _write(render(session.summary(session.paths(db=db).db, run), name), output)
    else:
        print_report(session.summary(session.paths(db=db).db, run), name)


def _page(session: "Session", db: str | None, run: str | None, data_dir: Path | None) -> str:
    from concurrent.futures import ThreadPoolExecutor

    from robench.report.html.page import bundle_library, to_html

    with ThreadPoolExecutor(1) as pool:
        library = pool.submit(bundle_library)  # takes seconds, and leaves Python alone meanwhile
        with stdout_for_results_only():  # clean images come from a plugin
            exhibit = session.exhibit(session.paths(db=db).db, run, data_dir=data_dir)
        return to_html(exhibit, library.result())


def _write(text: str, output: Path | None) -> None:
    from robench.cli.output import write_output

    if output is None and sys.stdout.isatty():
        message = "a page is nothing for a terminal"
        raise UsageError(message, "name a file: --output report.html")
    if output is None:
        sys.stdout.write(text)
    else:
        write_output(output, text.encode())
