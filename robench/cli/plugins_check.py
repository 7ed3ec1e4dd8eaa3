"""``robench plugins check``."""

import json as json_module
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robench.cli import options
from robench.cli.context import open_session, stdout_console, stdout_for_results_only
from robench.cli.progress import TerminalProgress
from robench.errors import UsageError

if TYPE_CHECKING:
    from robench.registry import Entry, FailedPlugin
    from robench.testing.examination import Result


def check_plugins(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Plugin, kind:plugin or distribution; by default all that are not built in.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Check the built-in plugins too.")] = False,
    shape: Annotated[
        str | None,
        typer.Option("--shape", metavar="C,H,W", help="Shape of the made-up images (default: one that fits)."),
    ] = None,
    classes: Annotated[int, typer.Option("--classes", metavar="K", min=2, help="Number of made-up classes.")] = 10,
    dataset: Annotated[
        str | None, typer.Option("--dataset", metavar="NAME", help="Take images of a data set instead.")
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check that plugins keep the rules, on a task that is made up. Nothing is stored or downloaded.

    Exit code 1 if a plugin breaks a rule or failed to load.
    """
    from robench.config.checks import known_name
    from robench.engine.progress import Silent
    from robench.testing.examination import examine_all
    from robench.testing.selection import choose
    from robench.testing.setting import Setting

    setting = Setting(shape=None if shape is None else _parse(shape), classes=classes, dataset=dataset)
    catalog = open_session().catalog
    if dataset is not None:
        known_name(dataset, "--dataset", "dataset", catalog.datasets, catalog.remark())
    chosen, failures = choose(catalog, names or [], everything=everything)
    progress = Silent() if quiet else TerminalProgress(sys.stderr)
    with stdout_for_results_only():
        reports = [(entry, examine_all(entry, catalog, setting, os.environ, progress)) for entry in chosen]
    if json:
        plugins = [_as_json(entry, results) for entry, results in reports]
        failed = [asdict(item) for item in failures]
        sys.stdout.write(json_module.dumps({"plugins": plugins, "failures": failed}, indent=2) + "\n")
    else:
        for entry, results in reports:
            _print(entry, results)
        _print_failures(failures)
    if failures or any(result.status == "FAIL" for _, results in reports for result in results):
        raise typer.Exit(1)


def _parse(shape: str) -> tuple[int, int, int]:
    try:
        channels, height, width = map(int, shape.split(","))
    except ValueError as error:
        message = f"--shape: must be three whole numbers, not {shape!r}"
        raise UsageError(message, "write --shape 1,28,28") from error
    if min(channels, height, width) < 1:
        message = f"--shape {shape}: there is no such image"
        raise UsageError(message, "write --shape 1,28,28")
    return channels, height, width


def _as_json(entry: "Entry[Any]", results: "list[Result]") -> dict[str, object]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "checks": [asdict(result) for result in results],
    }


def _print(entry: "Entry[Any]", results: "list[Result]") -> None:
    from robench.report.listing import print_listing

    sys.stdout.write(f"{entry.kind} {entry.name}, from {entry.distribution} {entry.version}\n\n")
    rows = [(result.check, result.status, result.reason) for result in results]
    print_listing(stdout_console(), ("check", "result", "reason"), rows)
    counts = [f"{[row[1] for row in rows].count(status)} {status}" for status in ("PASS", "FAIL", "not run")]
    sys.stdout.write(f"\n{', '.join(counts)}\n\n")


def _print_failures(failures: "list[FailedPlugin]") -> None:
    from robench.report.listing import print_listing

    if failures:
        rows = [(item.entry_point, f"{item.distribution} {item.version}", "FAIL", item.reason) for item in failures]
        print_listing(stdout_console(), ("failed to load", "from", "result", "reason"), rows)
