"""``robench figure``."""

from pathlib import Path
from typing import Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session, stdout_for_results_only
from robench.errors import UsageError


def figure(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="curves, outcomes, proportion, critical, heatmap, scores, roc or reconstructions.",
            show_default=False,
        ),
    ],
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Beginning of a run's id (default: the newest).")
    ] = None,
    same_run: Annotated[str | None, typer.Option("--run", metavar="ID", help="The same as RUN.")] = None,
    output: Annotated[
        Path | None, options.path("--output", "FILE", "A .pdf, .svg or .png (default: NAME.pdf).", "-o")
    ] = None,
    db: options.Db = None,
    data_dir: options.DataDir = None,
) -> None:
    """Draw a stored run for a two-column paper, and print the caption that goes with it."""
    from robench.cli.output import check_output, write_output
    from robench.report.figures.paper import FORMATS, NAMES, caption_of, draw_figure

    if name not in NAMES:
        message = f"unknown figure {name!r}"
        raise UsageError(message, f"choose one of {', '.join(NAMES)}")
    if run is not None and same_run is not None:
        message = f"a figure is of one run, and two are named: {run} and {same_run}"
        raise UsageError(message, "leave one of them out")
    output = output or Path(f"{name}.pdf")
    form = output.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        message = f"--output: {output} is no name that ends with {', '.join(f'.{known}' for known in FORMATS)}"
        raise UsageError(message, f"its end says what to write: {name}.{FORMATS[0]}")
    check_output(output)
    session = open_session()
    with stdout_for_results_only():  # clean images come from a plugin
        exhibit = session.exhibit(session.paths(db=db).db, same_run if run is None else run, data_dir=data_dir)
    write_output(output, draw_figure(name, exhibit, form))
    typer.echo(caption_of(name, exhibit))
