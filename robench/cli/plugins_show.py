"""``robench plugins show``."""

import json as json_module
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robench.cli import options
from robench.cli.context import open_session, stdout_console
from robench.errors import UsageError, suggestion

if TYPE_CHECKING:
    from robench.config.descriptions import ParameterDescription
    from robench.registry.catalog import Entry


def show_plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Data set, classifier, defense or attack.")],
    json: options.Json = False,
) -> None:
    """Show a plugin: where it comes from, what it declares, and which parameters --set can change."""
    from robench.config.descriptions import describe_parameters

    catalog = open_session().catalog
    tables = (catalog.datasets, catalog.classifiers, catalog.defenses, catalog.attacks)
    entries: list[Entry[Any]] = [table[name] for table in tables if name in table]
    if not entries:
        message = f'unknown plugin "{name}"'
        hint, remark = suggestion(name, {known for table in tables for known in table}), catalog.remark()
        raise UsageError(message, f"{hint} ({remark})" if remark else hint)
    shown = [
        (entry, () if entry.kind == "dataset" else describe_parameters(entry.spec.parameters)) for entry in entries
    ]
    if json:
        documents = [{**_facts(entry), "parameters": [asdict(item) for item in own]} for entry, own in shown]
        sys.stdout.write(json_module.dumps({"plugins": documents}, indent=2) + "\n")
        return
    for number, (entry, own) in enumerate(shown):
        sys.stdout.write("\n" if number else "")
        _print(entry, own)


def _facts(entry: "Entry[Any]") -> dict[str, object]:
    spec = entry.spec
    facts: dict[str, object] = {
        "kind": entry.kind,
        "name": entry.name,
        "summary": spec.summary,
        "source": spec.source,
        "distribution": entry.distribution,
        "version": entry.version,
        "module": entry.module,
    }
    if entry.kind == "dataset":
        return {**facts, "shape": list(spec.shape), "classes": list(spec.classes), "sizes": dict(spec.sizes)}
    if entry.kind == "classifier":
        return {**facts, "trained by": "robench" if spec.network is not None else "its author"}
    if entry.kind == "defense":
        return {**facts, **{name: getattr(spec, name) for name in ("rejecting", "stochastic", "selecting")}}
    return {
        **facts,
        "knowledge": spec.knowledge,
        "norms": list(spec.norms),
        "forms": [form for form in ("run", "sweep", "minimal") if getattr(spec, form) is not None],
        "goal": spec.goal,
        "effort": spec.effort,
        "requires": dict(spec.requires),
        "presets": {effort: dict(values) for effort, values in spec.presets.items()},
    }


def _print(entry: "Entry[Any]", parameters: "tuple[ParameterDescription, ...]") -> None:
    from robench.report.listing import print_listing

    console = stdout_console()
    rows = [(key, _text(value)) for key, value in _facts(entry).items()]
    print_listing(console, ("plugin", entry.name), [row for row in rows if row[0] != "name" and row[1]])
    if parameters:
        sys.stdout.write("\n")
        listed = [(item.name, item.type, item.default, item.text) for item in parameters]
        print_listing(console, ("parameter", "type", "default", "meaning"), listed)
    elif entry.kind != "dataset":
        sys.stdout.write("\nno parameters\n")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return "" if value is None else str(value)
