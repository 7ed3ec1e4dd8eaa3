"""``robench report``."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session, stdout_console, stdout_for_results_only
from robench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from robench.api.records import RunSummary
    from robench.session import Session

_HTML = "html"


def report(
    run: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="ID", help="Beginning of a run's id (default: the newest); again for several."),
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="NAME", help="The newest run of this suite (default: of any).")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="table (default), json, csv, markdown, latex or html."),
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
    from robench.report.formats import FORMATS

    if form is not None and form not in {*FORMATS, _HTML}:
        message = f'--format: unknown format "{form}"'
        raise UsageError(message, f"choose one of {', '.join((*FORMATS, _HTML))}")
    if json and form not in {None, "json"}:
        message = f"--json and --format {form} ask for two formats"
        raise UsageError(message, "leave one of them out")
    if proportion and (form != "latex" or against is not None):
        message = "--proportion: only tables of --format latex leave the share rejected out"
        raise UsageError(message, "leave it out, or add --format latex")
    if len(run or ()) > 1 and (against is not None or form == _HTML):
        message = f"{'--against' if form != _HTML else '--format html'}: one run at a time"
        raise UsageError(message, "name one with --run")
    session = open_session()
    chosen, store = "json" if json else form or "table", session.paths(db=db).db
    if suite is not None and not run and against is None and (variants := session.variants(store, suite)):
        from robench.report.variants import print_variants, render_variants

        _show(
            chosen,
            output,
            lambda console: print_variants(suite, variants, console),
            lambda: render_variants(suite, variants, chosen),
        )
        return
    summaries = _summaries(session, store, run, suite)
    if chosen == _HTML and against is None:
        _write(_page(session, store, summaries[0].run.id, data_dir), output)
    elif against is not None:
        from robench.report.published import print_published, render_published

        comparison = session.compare_published(summaries[0], against)
        _show(
            chosen,
            output,
            lambda console: print_published(comparison, console),
            lambda: render_published(comparison, chosen),
        )
    else:
        _show_runs(summaries, chosen, output, proportion=proportion)


def _summaries(session: "Session", store: str, runs: list[str] | None, suite: str | None) -> "list[RunSummary]":
    wanted: list[str | None] = [*runs] if runs else [None]
    found = (session.summary(store, one, suite) for one in wanted)
    return list({summary.run.id: summary for summary in found}.values())


def _show_runs(summaries: "list[RunSummary]", form: str, output: Path | None, *, proportion: bool) -> None:
    from robench.report.formats import render_all
    from robench.report.latex.table import to_latex
    from robench.report.terminal import print_summary

    def print_them(console: "Console") -> None:
        for number, summary in enumerate(summaries):
            console.print("\n" if number else "", end="")
            print_summary(summary, console)

    def render_them() -> str:
        if proportion:
            return "\n".join(to_latex(summary, proportion=True) for summary in summaries)
        return render_all(summaries, form)

    _show(form, output, print_them, render_them)


def _show(form: str, output: Path | None, print_on: "Callable[[Console], None]", render: Callable[[], str]) -> None:
    """Print a table that fits the terminal, or any other format, or write it to a file."""
    if form == "table" and output is None:
        print_on(stdout_console())
    else:
        _write(render(), output, paged=False)


def _page(session: "Session", store: str, run: str, data_dir: Path | None) -> str:
    from concurrent.futures import ThreadPoolExecutor

    from robench.report.html.page import bundle_library, to_html

    with ThreadPoolExecutor(1) as pool:
        library = pool.submit(bundle_library)  # takes seconds, and leaves Python alone meanwhile
        with stdout_for_results_only():  # clean images come from a plugin
            exhibit = session.exhibit(store, run, data_dir=data_dir)
        return to_html(exhibit, library.result())


def _write(text: str, output: Path | None, *, paged: bool = True) -> None:
    from robench.cli.output import write_output

    if output is None and paged and sys.stdout.isatty():
        message = "a page is nothing for a terminal"
        raise UsageError(message, "name a file: --output report.html")
    if output is None:
        sys.stdout.write(text)
    else:
        write_output(output, text.encode())
