"""``robench db backup``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Copy to write; must not be there yet.")],
    db: options.Db = None,
) -> None:
    """Copy the store while runs go on; the copy is verified, and there whole or not at all."""
    from robench.session.upkeep import back_up
    from robench.session.wording import count_of

    session = open_session()
    copied = back_up(session.paths(db=db).db, file)

    counted = f"{count_of(copied.runs, 'runs')}, {count_of(copied.outcomes, 'outcomes')}"
    sys.stdout.write(f"{file}: {counted}, verified\n")
