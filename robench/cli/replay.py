"""``robench replay``."""

import json as json_module
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options
from robench.cli.context import open_session, stdout_console, stdout_for_results_only
from robench.errors import IncompleteError

if TYPE_CHECKING:
    from robench.session.replay import Ending, Replay


def replay(
    defense: Annotated[str, typer.Option("--defense", metavar="NAME", help="Defense to put the examples to.")],
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Beginning of a run's id (default: the newest).")
    ] = None,
    attack: Annotated[
        str | None,
        typer.Option("--attack", metavar="NAME", help="Default: adaptive or worst-case, else the run's first."),
    ] = None,
    made_against: Annotated[
        str | None,
        typer.Option("--made-against", metavar="NAME", help="Only examples made against this defense (default: all)."),
    ] = None,
    epsilon: Annotated[
        str | None, typer.Option("--epsilon", metavar="E", help="Only examples at this epsilon (default: all).")
    ] = None,
    form: Annotated[
        str, typer.Option("--form", metavar="NAME", help="float as judged, or 8-bit as in a file.", show_default=True)
    ] = "float",
    classifier: options.Classifier = None,
    classifier_weights: options.ClassifierWeights = None,
    settings: options.Settings = None,
    device: options.Device = None,
    config: options.Config = None,
    db: options.Db = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Put examples that a run has kept to a defense, the same or another one.

    The run must have been made with --keep-examples. Trains what is missing first. A classifier of your own that the
    run defended has to be named again.
    """
    from robench.config.request import Overrides
    from robench.session.replay import Wanted

    wanted = Wanted(run=run, attack=attack, made_against=made_against, epsilon=epsilon, form=form)
    session = open_session(config=config, quiet=quiet)
    overrides = Overrides(
        classifier=classifier,
        classifier_weights=classifier_weights,
        defenses=(defense,),
        settings=tuple(settings or ()),
        device=device,
        db=db,
        data_dir=data_dir,
    )
    with stdout_for_results_only():
        found = session.replay(wanted, overrides)
    if json:
        sys.stdout.write(json_module.dumps(asdict(found), indent=2) + "\n")
    else:
        _print_table(found)
    if found.missing:
        texts = [f"{cell.n:,} made against {cell.made_against} at eps {cell.epsilon}" for cell in found.missing]
        message = f"examples are missing: {', '.join(texts)}"
        hint = "they were deleted or never kept; the run's command with --keep-examples and another --db makes them"
        raise IncompleteError(message, hint)


def _print_table(found: "Replay") -> None:
    from robench.api.records import NORM_LABELS
    from robench.report.listing import print_listing

    norm = NORM_LABELS[found.norm]
    sys.stdout.write(
        f"run {found.run}: examples of {found.attack}, {norm}, as {found.form}, put to {found.defense}\n\n"
    )
    headers = ("made against", "eps", "n", "", "correct", "wrong", "rejected", "wrong draws", "alike")
    rows = []
    for row in found.rows:
        rows += [
            (row.made_against, row.epsilon, f"{row.n:,}", "in the run", *_counts(row.original), ""),
            ("", "", "", "now", *_counts(row.now), f"{row.alike} of {row.n}"),
        ]
    print_listing(stdout_console(), headers, rows)
    if found.unchanged is False:
        sys.stdout.write(f"\n{found.defense} is not the one of the run: its weights or its threshold differ\n")


def _counts(ending: "Ending") -> tuple[str, ...]:
    counts = (ending.correct, ending.wrong, ending.rejected)
    return (*(f"{count:,}" for count in counts), f"{100 * ending.wrong_draws:.1f} %")
