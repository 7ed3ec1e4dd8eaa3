"""``robench db upgrade``."""

import sys

from robench.cli import options
from robench.cli.context import open_session


def upgrade(db: options.Db = None) -> None:
    """Bring a store that an older robench wrote up to date; a file is copied first."""
    from robench.session.upkeep import upgrade as upgrade_store

    session = open_session()
    done = upgrade_store(session.paths(db=db).db)
    if done.before == done.after:
        sys.stdout.write(f"nothing to do: the schema is {done.after}, the newest\n")
        return
    copied = f"; what it was is in {done.copy}" if done.copy else ""
    sys.stdout.write(f"upgraded from schema {done.before} to {done.after}{copied}\n")
