"""``robench report``."""

import sys
from typing import Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session, print_report
from robench.errors import UsageError


def report(
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Beginning of a run's id (default: the newest).")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="table (default), json, csv, markdown or latex.")
    ] = None,
    proportion: Annotated[
        bool, typer.Option("--proportion", help="With --format latex: the share rejected, too, in rows of its own.")
    ] = False,
    json: options.Json = False,
    db: options.Db = None,
) -> None:
    """Show a stored run."""
    from robench.report.formats import FORMATS

    if form is not None and form not in FORMATS:
        message = f'--format: unknown format "{form}"'
        raise UsageError(message, f"choose one of {', '.join(FORMATS)}")
    if json and form not in {None, "json"}:
        message = f"--json and --format {form} ask for two formats"
        raise UsageError(message, "leave one of them out")
    if proportion and form != "latex":
        message = "--proportion: only tables of --format latex leave the share rejected out"
        raise UsageError(message, "leave it out, or add --format latex")
    session = open_session()
    summary = session.summary(session.paths(db=db).db, run)
    if proportion:
        from robench.report.latex import to_latex

        sys.stdout.write(to_latex(summary, proportion=True))
        return
    print_report(summary, "json" if json else form or "table")
