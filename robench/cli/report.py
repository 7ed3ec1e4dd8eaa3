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
        list[str] | None,
        typer.Option("--run", metavar="ID", help="Beginning of a run's id (default: the newest); again for several."),
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="NAME", help="The newest run of this suite (default: of any).")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="table (default), json, csv, markdown or latex.")
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
    """Show a stored run, or several, or one beside published figures."""
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
    chosen, store = "json" if json else form or "table", session.paths(db=db).db
    if suite is not None and not run and against is None and (variants := session.variants(store, suite)):
        print_variants(suite, variants, chosen)
        return
    wanted: list[str | None] = [*run] if run else [None]
    found = [session.summary(store, one, suite) for one in wanted]
    summaries = list({summary.run.id: summary for summary in found}.values())
    if against is not None:
        if len(summaries) > 1:
            message = f"--against {against}: one run at a time"
            raise UsageError(message, "give --run once")
        _print_published(session.compare_published(summaries[0], against), chosen)
    elif proportion:
        from robench.report.latex import to_latex

        sys.stdout.write("\n".join(to_latex(summary, proportion=True) for summary in summaries))
    elif chosen != "table":
        sys.stdout.write(render_all(summaries, chosen))
    else:
        for number, summary in enumerate(summaries):
            sys.stdout.write("\n" if number else "")
            print_report(summary, chosen)


def _print_published(comparison: "PublishedComparison", form: str) -> None:
    from robench.report.published import PUBLISHED_FORMATS, print_published

    if form == "table":
        print_published(comparison, stdout_console())
    elif form in PUBLISHED_FORMATS:
        sys.stdout.write(PUBLISHED_FORMATS[form](comparison))
    else:
        message = f"--against has no format {form}"
        raise UsageError(message, f"choose one of {', '.join(PUBLISHED_FORMATS)}")
