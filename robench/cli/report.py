"""``robench report``."""

import sys
from typing import Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session, print_report
from robench.errors import UsageError


def report(
    run: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="ID", help="Beginning of a run's id (default: the newest); again for several."),
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
    """Show a stored run, or several."""
    from robench.report.formats import FORMATS, render_all

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
    store = session.paths(db=db).db
    wanted: list[str | None] = [*run] if run else [None]
    summaries = list({summary.run.id: summary for summary in (session.summary(store, one) for one in wanted)}.values())
    name = "json" if json else form or "table"
    if proportion:
        from robench.report.latex import to_latex

        sys.stdout.write("\n".join(to_latex(summary, proportion=True) for summary in summaries))
    elif name != "table":
        sys.stdout.write(render_all(summaries, name))
    else:
        for number, summary in enumerate(summaries):
            sys.stdout.write("\n" if number else "")
            print_report(summary, name)
