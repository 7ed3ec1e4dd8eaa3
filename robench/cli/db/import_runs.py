"""``robench db import``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session
from robench.cli.db.receipt import describe


def import_archive(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="What robench db export has written.")],
    db: options.Db = None,
) -> None:
    """Take the runs of an archive into the store, all or nothing; what is there already is skipped."""
    from robench.session.upkeep import import_archive

    session = open_session()
    receipt = import_archive(session.paths(db=db).db, archive)
    sys.stdout.write(f"{archive}: {describe(receipt)}\n")
