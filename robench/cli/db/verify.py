"""``robench db verify``."""

import json as json_module
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session, stdout_console

if TYPE_CHECKING:
    from robench.session.upkeep import Inspection


def verify(
    weights: Annotated[bool, typer.Option("--weights", help="Check the weights in the cache, too.")] = False,
    data: Annotated[bool, typer.Option("--data", help="Check the files of data sets, too.")] = False,
    db: options.Db = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Find every byte of a result that is not as it was written, and exit with 1 if there is one."""
    found = open_session().verify(db=db, data_dir=data_dir, weights=weights, data=data)
    if json:
        faults = [asdict(fault) for fault in found.faults]
        document = {"sound": not faults, "looked_at": dict(found.looked_at), "faults": faults}
        sys.stdout.write(json_module.dumps(document, indent=2) + "\n")
    else:
        _print(found)
    if found.faults:
        raise typer.Exit(1)


def _print(found: "Inspection") -> None:
    from robench.session.wording import count_of

    counted = ", ".join(count_of(count, kind) for kind, count in found.looked_at.items())
    if not found.faults:
        sys.stdout.write(f"nothing was altered: {counted}\n")
        return
    from robench.report.listing import print_listing
    from robench.storage.receiving import format_positions

    rows = [
        (", ".join(fault.runs), fault.cell[:12], format_positions(fault.positions), fault.what, fault.mend)
        for fault in found.faults
    ]
    print_listing(stdout_console(), ("run", "cell", "positions", "what is wrong", "what to do"), rows)
    sys.stdout.write(f"\n{count_of(len(rows), 'faults')} in {counted}\n")
