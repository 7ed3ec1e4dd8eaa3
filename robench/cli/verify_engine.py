"""``robench verify-engine``."""

import json as json_module
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from robench.cli import options
from robench.cli.context import open_session, stdout_console, stdout_for_results_only

if TYPE_CHECKING:
    from robench.session.verification import Comparison

_FEW = 50


def verify_engine(
    dataset: options.Dataset = None,
    classifier: options.Classifier = None,
    defense: options.Defenses = None,
    attack: options.Attacks = None,
    epsilons: options.Epsilons = None,
    norm: options.Norm = None,
    images: options.Images = None,
    seed: options.Seed = None,
    device: options.Device = None,
    profile: options.Profile = None,
    suite: options.Suite = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    search_precision: options.SearchPrecision = None,
    batch_size: options.BatchSize = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show that robench's own attacks find what Foolbox finds, on your defense.

    Both attack the same images with the same random draws, 50 unless --images says otherwise; nothing is stored.
    """
    from robench.config.request import Overrides

    session = open_session(config=config, quiet=quiet)
    overrides = Overrides(
        dataset=dataset,
        classifier=classifier,
        defenses=tuple(defense) if defense else None,
        attacks=tuple(attack) if attack else None,
        epsilons=epsilons,
        norm=norm,
        images=_FEW if images is None else images,
        seed=seed,
        device=device,
        profile=profile,
        suite=suite,
        data_dir=data_dir,
        batch_size=batch_size,
        search_precision=search_precision,
    )
    with stdout_for_results_only():
        comparisons = session.verify_engine(session.resolve(overrides))
    if json:
        sys.stdout.write(json_module.dumps({"comparisons": [asdict(item) for item in comparisons]}, indent=2) + "\n")
    else:
        _print_table(comparisons)
    if not all(item.agrees for item in comparisons):
        raise typer.Exit(1)


def _print_table(comparisons: "list[Comparison]") -> None:
    from robench.api.records import NORM_LABELS
    from robench.report.listing import print_listing

    headers = ("defense", "attack", "norm", "eps", "same pixels", "same outcomes", "foolbox", "float32", "in a run", "")
    rows = [
        (
            item.defense,
            item.attack,
            NORM_LABELS[item.norm],
            item.epsilon,
            f"{100 * item.same_pixels:.3f} %",
            f"{item.same_outcomes} of {item.images}",
            f"{100 * item.library:.1f} %",
            f"{100 * item.engine:.1f} %",
            f"{100 * item.fast:.1f} % ({item.precision})",
            "agrees" if item.agrees else "DIFFERS",
        )
        for item in comparisons
    ]
    print_listing(stdout_console(), headers, rows)
