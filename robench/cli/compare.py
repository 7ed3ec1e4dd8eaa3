"""``robench compare``."""

import json as json_module
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session, stdout_console

if TYPE_CHECKING:
    from robench.session.comparison import ComparedEpsilon, DefenseComparison

_CAUTION = "the attack does not know the detector or the selection; who stops it need not be robust"


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="Defense.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other defense.")],
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Beginning of a run's id (default: the newest with both).")
    ] = None,
    attack: Annotated[
        str | None,
        typer.Option("--attack", metavar="NAME", help="Default: adaptive or worst-case, else the run's first."),
    ] = None,
    json: options.Json = False,
    db: options.Db = None,
) -> None:
    """Say which of two defenses is more robust, by what a run stored about the same images.

    McNemar's exact test on strict robust accuracy at each epsilon, adjusted by Holm for their number.
    """
    session = open_session()
    found = session.compare(session.paths(db=db).db, first, second, run=run, attack=attack)
    if json:
        sys.stdout.write(json_module.dumps(asdict(found), indent=2) + "\n")
    else:
        _print_table(found)


def _print_table(found: "DefenseComparison") -> None:
    from robench.api.records import NORM_LABELS
    from robench.report.listing import print_listing

    sys.stdout.write(
        f"run {found.run}: A = {found.first}, B = {found.second}, attack {found.attack}, {NORM_LABELS[found.norm]}\n"
    )
    if found.knowledge != "adaptive":
        sys.stdout.write(f"{found.knowledge}: {_CAUTION}\n")
    sys.stdout.write("strict robust accuracy: images that are correct when clean and not fooled, on most draws\n\n")
    headers = ("eps", "n", "A", "B", "b: only A", "c: only B", "p", "p (Holm)", "")
    rows = [
        (
            row.epsilon,
            f"{row.n:,}",
            f"{100 * row.first:.1f} %",
            f"{100 * row.second:.1f} %",
            str(row.only_first),
            str(row.only_second),
            f"{row.p:.2g}",
            f"{row.p_adjusted:.2g}",
            _conclusion(row, found),
        )
        for row in found.epsilons
    ]
    print_listing(stdout_console(), headers, rows)
    sys.stdout.write(f"\n{_rates(found)}\n")


def _conclusion(row: "ComparedEpsilon", found: "DefenseComparison") -> str:
    words = {"first": f"{found.first} is more robust", "second": f"{found.second} is more robust"}
    return words[row.more_robust] if row.more_robust else "no difference shown"


def _rates(found: "DefenseComparison") -> str:
    rates = found.rates
    nominal = "" if rates.nominal is None else f" (nominal {100 * rates.nominal:g} %)"
    counted = (
        f"of {rates.n:,} clean images, {found.first} alone rejects {rates.only_first} and {found.second} alone "
        f"{rates.only_second} (p = {rates.p:.2g})"
    )
    finding = "show no difference" if rates.matched else f"do NOT match: {'; '.join(rates.reasons)}"
    return f"false-positive rates{nominal} {finding}; {counted}"
