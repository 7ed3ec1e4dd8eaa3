"""``robench explore``."""

import contextlib
import sys
import threading
import webbrowser
from typing import Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session
from robench.cli.stopping import Stopped


def explore(
    db: options.Db = None,
    port: Annotated[int | None, options.whole_number("--port", "Port of this machine; a free one by default.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Open the store in a browser, read-only, for questions of your own; Ctrl-C ends it."""

    def announce(address: str) -> None:
        sys.stdout.write(f"{address}\nread-only, for this machine only; Ctrl-C ends it\n")
        sys.stdout.flush()
        if not no_browser:
            # Some browsers end only when they are closed, and none gets an answer before we serve.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    session = open_session()
    with contextlib.suppress(Stopped):  # that is how it ends, and nothing is left to go on with
        session.explore(session.paths(db=db).db, port, announce)
