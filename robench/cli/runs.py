"""``robench runs``."""

import json as json_module
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session, print_report, stdout_console

runs_app = typer.Typer(help="Look at the runs in the store.", no_args_is_help=True, rich_markup_mode=None)


@runs_app.command("list")
def list_runs(db: options.Db = None, json: options.Json = False) -> None:
    """List all runs, newest first; robench runs show has their commands."""
    session = open_session()
    runs = session.runs(session.paths(db=db).db)
    if json:
        entries = [{**asdict(run), "details": json_module.loads(run.details)} for run in runs]
        sys.stdout.write(json_module.dumps({"runs": entries}, indent=2) + "\n")
        return
    from robench.report.listing import print_listing

    headers = ("run", "status", "created (UTC)", "data set", "classifier", "profile", "images", "seed", "norm", "suite")
    rows = [
        (
            run.id,
            run.status,
            run.created[:16].replace("T", " "),
            run.dataset,
            run.classifier,
            run.profile,
            f"{run.images:,}",
            str(run.seed),
            *(str(details.get(name) or "-") for name in ("norm", "suite")),
        )
        for run in runs
        for details in [json_module.loads(run.details)]
    ]
    print_listing(stdout_console(), headers, rows)


@runs_app.command("show")
def show_run(
    run: Annotated[str, typer.Argument(metavar="ID", help="Beginning of a run's id.")],
    db: options.Db = None,
    json: options.Json = False,
) -> None:
    """Show one run: its request, provenance and results."""
    session = open_session()
    summary = session.summary(session.paths(db=db).db, run)
    if not json:
        sys.stdout.write(f"run {summary.run.id}, {summary.run.status}, created {summary.run.created}\n")
        sys.stdout.write(f"{summary.run.command}\n\n")
    print_report(summary, "json" if json else "table")
