"""``robench diagnose``."""

import json as json_module
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from robench.cli import options
from robench.cli.context import open_session, stdout_console, stdout_for_results_only

if TYPE_CHECKING:
    from robench.session.diagnosing import Diagnosis

_FEW = 50
_ATTACKS = ("pgd", "adaptive")


def diagnose(
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
    budget: options.Budget = None,
    engine: options.Engine = None,
    search_precision: options.SearchPrecision = None,
    batch_size: options.BatchSize = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Say whether attacks search well on your defense, or only seem to lose: masked gradients and the like.

    Looks at pgd and adaptive unless --attack says otherwise, on 50 images unless --images does; nothing is stored.
    Exits with 1 if anything fails.
    """
    from robench.config.request import Overrides

    session = open_session(config=config, quiet=quiet)
    overrides = Overrides(
        dataset=dataset,
        classifier=classifier,
        defenses=tuple(defense) if defense else None,
        attacks=tuple(attack) if attack else _ATTACKS,
        epsilons=epsilons,
        norm=norm,
        images=_FEW if images is None else images,
        seed=seed,
        device=device,
        profile=profile,
        suite=suite,
        data_dir=data_dir,
        budget=budget,
        engine=engine,
        search_precision=search_precision,
        batch_size=batch_size,
    )
    with stdout_for_results_only():
        diagnoses = session.diagnose(session.resolve(overrides))
    if json:
        document = {"diagnoses": [{**asdict(item), "fails": item.fails} for item in diagnoses]}
        sys.stdout.write(json_module.dumps(document, indent=2) + "\n")
    else:
        _print_table(diagnoses)
    if any(item.fails for item in diagnoses):
        raise typer.Exit(1)


def _print_table(diagnoses: "list[Diagnosis]") -> None:
    from robench.report.listing import print_listing

    headers = ("defense", "diagnostic", "status", "number", "meaning", "mend")
    rows = [
        (item.defense, finding.name, finding.status, finding.number, finding.meaning, finding.mend)
        for item in diagnoses
        for finding in item.findings
    ]
    print_listing(stdout_console(), headers, rows)
