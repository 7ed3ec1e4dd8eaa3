"""What a run would take, as a table and a line or two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from robench.report.listing import print_listing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

_HEADERS = ("defense", "attack", "cells", "outcomes to do", "batches", "passes", "time", "remark")


def print_plan(console: Console, name: str | None, plan: Mapping[str, Any]) -> None:
    """Print one plan.

    Args:
        console: Where to.
        name: Of the variant; None where there is none.
        plan: As ``robench plan --json`` has it.
    """
    if name is not None:
        console.print(f"variant {name}", markup=False)
    rows = [
        (
            item["defense"],
            item["attack"],
            f"{item['cells']:,}",
            f"{item['outcomes']:,}",
            f"{item['batches']:,}",
            _number(item["passes"]),
            _duration(item["seconds"]),
            item["remark"],
        )
        for item in plan["sweeps"]
    ]
    print_listing(console, _HEADERS, rows)
    for line in _lines(plan):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(plan: Mapping[str, Any]) -> list[str]:
    counts = f"{plan['cells']:,} cells, {plan['outcomes']:,} outcomes to do in {plan['batches']:,} batches"
    lines = [f"{plan['images']:,} images on {plan['device']}: {counts}"]
    if plan["seconds"] is not None:
        lines.append(
            f"about {_duration(plan['seconds'])} on this device, {_number(plan['passes'])} passes, "
            f"memory until now at most {plan['memory'] / 2**20:,.0f} MiB; diagnostics and cards not counted"
        )
        lines.append("each attack was tried once, on a few images: the real time may differ by a factor of some")
    if plan["seconds"] is not None and plan["load"] is not None and plan["load"] > plan["cores"] / 2:
        busy = f"{plan['load']:.1f} of {plan['cores']} cores were busy before"
        lines.append(f"other work slowed the probe down: {busy}, so that the estimate is too high for an idle machine")
    if plan["cost"] is not None:
        lines.append(f"cost: {plan['cost']:,.2f}, of one such device for that time")
    if plan["to_train"]:
        names = ", ".join(plan["to_train"])
        lines.append(
            f"to be trained first, and not tried, so that no time or cost is known: {names}; robench train, with the "
            "same options, does it"
        )
    return lines


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _duration(seconds: float | None) -> str:
    """Return a time as people say it: two digits are all that a probe can tell."""
    if seconds is None:
        return ""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.2g} {unit}" if seconds < 100 * length else f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.2g} s"
