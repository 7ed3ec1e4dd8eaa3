"""``robench doctor``."""

import json as json_module
import sys
from dataclasses import asdict

import typer

from robench.cli import options
from robench.cli.context import open_session, stdout_console, stdout_for_results_only


def doctor(db: options.Db = None, data_dir: options.DataDir = None, json: options.Json = False) -> None:
    """Check versions, device, store, cache, data and plugins; change nothing."""
    with stdout_for_results_only():
        checkup = open_session().check_up(db=db, data_dir=data_dir)
    if json:
        findings = [asdict(finding) for finding in checkup.findings]
        sys.stdout.write(json_module.dumps({"healthy": checkup.healthy, "findings": findings}, indent=2) + "\n")
    else:
        from robench.report.listing import print_listing

        rows = [(finding.subject, finding.status, finding.text) for finding in checkup.findings]
        print_listing(stdout_console(), ("subject", "status", "finding"), rows)
    if not checkup.healthy:
        raise typer.Exit(1)
