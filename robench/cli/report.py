"""``robench report``."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session, print_report, print_variants, stdout_console
from robench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.published import PublishedComparison
    from robench.api.records import RunSummary


def report(
    run: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="ID", help="Beginning of a run's id (default: the newest); again for several."),
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="table (default), json, csv, markdown or latex.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="NAME", help="The newest run of this suite (default: of any).")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="NAME", help="Beside published figures: paper, or a CSV file of them."),
    ] = None,
    proportion: Annotated[
        bool, typer.Option("--proportion", help="With --format latex: the share rejected, too, in rows of its own.")
    ] = False,
    json: options.Json = False,
    db: options.Db = None,
) -> None:
    """Show a stored run or several, or put one beside published figures."""
    from robench.report.formats import FORMATS

    if form is not None and form not in FORMATS:
        message = f'--format: unknown format "{form}"'
        raise UsageError(message, f"choose one of {', '.join(FORMATS)}")
    if json and form not in {None, "json"}:
        message = f"--json and --format {form} ask for two formats"
        raise UsageError(message, "leave one of them out")
    if proportion and (form != "latex" or against is not None):
        message = "--proportion: only tables of --format latex leave the share rejected out"
        raise UsageError(message, "leave it out, or add --format latex")
    if against is not None and len(run or ()) > 1:
        message = "--against: one run at a time is put beside published figures"
        raise UsageError(message, "name one with --run")
    session = open_session()
    chosen, store = "json" if json else form or "table", session.paths(db=db).db
    if suite is not None and not run and against is None and (variants := session.variants(store, suite)):
        print_variants(suite, variants, chosen)
        return
    wanted: list[str | None] = [*run] if run else [None]
    found = (session.summary(store, one, suite) for one in wanted)
    summaries = list({summary.run.id: summary for summary in found}.values())
    if against is None:
        _print(summaries, chosen, proportion=proportion)
    else:
        _print_published(session.compare_published(summaries[0], against), chosen)


def _print(summaries: "Sequence[RunSummary]", form: str, *, proportion: bool) -> None:
    from robench.report.formats import render_all
    from robench.report.latex.table import to_latex

    if proportion:
        sys.stdout.write("\n".join(to_latex(summary, proportion=True) for summary in summaries))
    elif form != "table":
        sys.stdout.write(render_all(summaries, form))
    else:
        for number, summary in enumerate(summaries):
            sys.stdout.write("\n" if number else "")
            print_report(summary, form)


def _print_published(comparison: "PublishedComparison", form: str) -> None:
    from robench.report.published import PUBLISHED_FORMATS, print_published

    if form == "table":
        print_published(comparison, stdout_console())
    elif form in PUBLISHED_FORMATS:
        sys.stdout.write(PUBLISHED_FORMATS[form](comparison))
    else:
        message = f"--against has no format {form}"
        raise UsageError(message, f"choose one of {', '.join(PUBLISHED_FORMATS)}")
