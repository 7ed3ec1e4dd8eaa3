"""``robench report``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options
from robench.cli.context import (
    open_session,
    print_published,
    print_report,
    print_variants,
    stdout_for_results_only,
)
from robench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from robench.api.records import RunSummary
    from robench.session import Session

_HTML = "html"
_BY_ENDING = {".html": _HTML, ".json": "json", ".csv": "csv", ".md": "markdown", ".tex": "latex"}


def report(
    run: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="ID", help="Beginning of a run's id (default: the newest); again for several."),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option("--suite", metavar="NAME", help="The newest run of this suite, or of each of its variants."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="table, json, csv, markdown, latex or html (default: by the ending of --output, else table).",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="NAME", help="Beside published figures: paper, or a CSV file of them."),
    ] = None,
    proportion: Annotated[
        bool, typer.Option("--proportion", help="With --format latex: the share rejected, too, in rows of its own.")
    ] = False,
    json: options.Json = False,
    output: options.Output = None,
    db: options.Db = None,
    data_dir: options.DataDir = None,
) -> None:
    """Show a stored run or several, or put one beside published figures.

    As html it is one page with pictures, which works without a network.
    """
    from robench.cli.output import stdout_into

    if form is None and not json and output is not None:
        form = _ending(output)
    chosen = _checked(form, json=json, proportion=proportion, alone=against is not None, runs=len(run or ()))
    session = open_session()
    store = session.paths(db=db).db
    with stdout_into(output):
        if suite is not None and not run and (variants := session.variants(store, suite)):
            if against is not None:
                raise _several(suite, variants)
            print_variants(suite, variants, chosen)
            return
        wanted: list[str | None] = [*run] if run else [None]
        found = (session.summary(store, one, suite) for one in wanted)
        summaries = list({summary.run.id: summary for summary in found}.values())
        if against is not None:
            print_published(session.compare_published(summaries[0], against), chosen)
        elif chosen == _HTML:
            sys.stdout.write(_page(session, store, summaries[0].run.id, data_dir))
        else:
            _print(summaries, chosen, proportion=proportion)


def _several(suite: str, variants: "Mapping[str, RunSummary]") -> UsageError:
    named = ", ".join(f"{summary.run.id} ({name})" for name, summary in variants.items())
    return UsageError(f"--against: the suite {suite} has variants, each a run of its own", f"name one --run: {named}")


def _ending(output: Path) -> str | None:
    """Return the format that the ending of a file asks for; None for text."""
    ending = output.suffix.lower()
    if ending in {"", ".txt"}:
        return None
    if ending not in _BY_ENDING:
        message = f"--output {output}: a report has no format for the ending {ending}"
        raise UsageError(message, f"choose one of {', '.join(_BY_ENDING)}, or give --format as well")
    return _BY_ENDING[ending]


def _checked(form: str | None, *, json: bool, proportion: bool, alone: bool, runs: int) -> str:
    """Return the format that was asked for, if the flags go together."""
    from robench.report.formats import FORMATS

    if form is not None and form not in {*FORMATS, _HTML}:
        message = f'--format: unknown format "{form}"'
        raise UsageError(message, f"choose one of {', '.join((*FORMATS, _HTML))}")
    if json and form not in {None, "json"}:
        message = f"--json and --format {form} ask for two formats"
        raise UsageError(message, "leave one of them out")
    if proportion and (form != "latex" or alone):
        message = "--proportion: only tables of --format latex leave the share rejected out"
        raise UsageError(message, "leave it out, or add --format latex")
    if runs > 1 and (alone or form == _HTML):
        message = f"{'--against' if alone else '--format html'}: one run at a time"
        raise UsageError(message, "name one with --run")
    return "json" if json else form or "table"


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


def _page(session: "Session", store: str, run: str, data_dir: Path | None) -> str:
    if sys.stdout.isatty():
        message = "a page is nothing for a terminal"
        raise UsageError(message, "name a file: --output report.html")

    from robench.report.html.library import bundling

    with bundling() as library:
        from robench.report.html.page import to_html

        with stdout_for_results_only():  # clean images come from a plugin
            exhibit = session.exhibit(store, run, data_dir=data_dir)
        return to_html(exhibit, library())
