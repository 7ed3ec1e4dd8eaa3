"""``robench db merge``."""

import sys
from typing import Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session
from robench.cli.db.receipt import describe


def merge(
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Stores to read: paths or URLs.")],
    db: options.Db = None,
) -> None:
    """Take the runs of other stores into the one of --db, each all or nothing; what is there already is skipped."""
    from robench.session.upkeep import merge as merge_stores
    from robench.storage.location import Location

    session = open_session()
    for other, receipt in zip(others, merge_stores(session.paths(db=db).db, others), strict=True):
        sys.stdout.write(f"{Location.parse(other)}: {describe(receipt)}\n")
