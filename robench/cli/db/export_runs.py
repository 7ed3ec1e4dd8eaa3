"""``robench db export``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session


def export(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="File to write; must not be there yet.")],
    run: Annotated[
        list[str] | None, typer.Option("--run", metavar="ID", help="Beginning of a run's id; all runs by default.")
    ] = None,
    db: options.Db = None,
) -> None:
    """Write runs with all their outcomes to an archive, which robench db import reads on any machine."""
    from robench.session.upkeep import export as export_runs
    from robench.session.wording import count_of

    session = open_session()
    manifest = export_runs(session.paths(db=db).db, archive, run or [])
    counted = ", ".join(count_of(member.lines, member.name.removesuffix(".jsonl")) for member in manifest.members)
    sys.stdout.write(f"{archive}: {counted}\n")
