"""``robench plugins``."""

import json as json_module
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from robench.cli import options
from robench.cli.context import open_session, stdout_console

if TYPE_CHECKING:
    from robench.registry.catalog import Catalog, Entry

plugins_app = typer.Typer(help="Look at the installed plugins.", no_args_is_help=True, rich_markup_mode=None)


@plugins_app.command("list")
def list_plugins(json: options.Json = False) -> None:
    """List data sets, classifiers, defenses and attacks with who offers them, and plugins that failed to load."""
    catalog = open_session().catalog
    if json:
        failures = [asdict(failure) for failure in catalog.failures]
        entries = [_as_json(entry) for entry in _entries(catalog)]
        sys.stdout.write(json_module.dumps({"plugins": entries, "failures": failures}, indent=2) + "\n")
    else:
        _print_tables(catalog)
    if catalog.failures:
        raise typer.Exit(1)


def _entries(catalog: "Catalog") -> "list[Entry[Any]]":
    tables = (catalog.datasets, catalog.classifiers, catalog.defenses, catalog.attacks)
    return [entry for table in tables for entry in table.values()]


def _as_json(entry: "Entry[Any]") -> dict[str, object]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "summary": entry.spec.summary,
        "source": entry.spec.source,
        "distribution": entry.distribution,
        "version": entry.version,
        "module": entry.module,
        "missing": _missing(entry),
    }


def _missing(entry: "Entry[Any]") -> dict[str, str]:
    """Return the modules that an attack lacks here, with what to install for them; nothing for other kinds."""
    from robench.registry.requirements import missing_modules

    return missing_modules(entry.spec) if entry.kind == "attack" else {}


def _summary(entry: "Entry[Any]") -> str:
    missing = _missing(entry)
    summary: str = entry.spec.summary
    return f"{summary} (needs {', '.join(missing)})" if missing else summary


def _print_tables(catalog: "Catalog") -> None:
    from robench.report.listing import print_listing

    console = stdout_console()
    rows = [
        (entry.kind, entry.name, _summary(entry), f"{entry.distribution} {entry.version}")
        for entry in _entries(catalog)
    ]
    print_listing(console, ("kind", "name", "summary", "from"), rows)
    if catalog.failures:
        sys.stdout.write("\nfailed to load; they cost only themselves:\n")
        failed = [(item.entry_point, f"{item.distribution} {item.version}", item.reason) for item in catalog.failures]
        print_listing(console, ("plugin", "from", "reason"), failed)
