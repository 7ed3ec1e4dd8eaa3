"""``robench doctor``."""

import json as json_module
import sys
from dataclasses import asdict

import typer

from robench.cli import options
from robench.cli.context import open_session, stdout_console


def doctor(db: options.Db = None, data_dir: options.DataDir = None, json: options.Json = False) -> None:
    """Check versions, device, store, cache, data and plugins; change nothing."""
    diagnosis = open_session().diagnose(db=db, data_dir=data_dir)
    if json:
        findings = [asdict(finding) for finding in diagnosis.findings]
        sys.stdout.write(json_module.dumps({"healthy": diagnosis.healthy, "findings": findings}, indent=2) + "\n")
    else:
        from robench.report.listing import print_listing

        rows = [(finding.subject, finding.status, finding.text) for finding in diagnosis.findings]
        print_listing(stdout_console(), ("subject", "status", "finding"), rows)
    if not diagnosis.healthy:
        raise typer.Exit(1)
