"""``robench train``."""

import json as json_module
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options
from robench.cli.context import about_variant, open_session, stdout_console, stdout_for_results_only

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from robench.session.training import TrainingReport


def train(
    dataset: options.Dataset = None,
    classifier: options.Classifier = None,
    classifier_weights: options.ClassifierWeights = None,
    defense: options.Defenses = None,
    seed: options.Seed = None,
    device: options.Device = None,
    profile: options.Profile = None,
    suite: options.Suite = None,
    variant: options.Variant = None,
    settings: options.Settings = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train even what is in the cache.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a classifier and the networks of defenses, or find them in the cache.

    A training that was stopped goes on from its last checkpoint.
    """
    from robench.config.request import Overrides

    session = open_session(config=config, quiet=quiet)
    overrides = Overrides(
        dataset=dataset,
        classifier=classifier,
        classifier_weights=classifier_weights,
        defenses=tuple(defense) if defense else None,
        seed=seed,
        device=device,
        profile=profile,
        suite=suite,
        variant=variant,
        settings=tuple(settings or ()),
        data_dir=data_dir,
    )
    with stdout_for_results_only():
        requests = session.resolve_variants(overrides, attacking=False)
        reports: dict[Path, TrainingReport] = {}  # variants share networks
        for name, request in requests.items():
            with about_variant(session, name):
                for report in session.train(request, retrain=retrain, fresh=reports):
                    reports.setdefault(report.folder, report)
    if json:
        entries = [{"trained": item.trained, "folder": str(item.folder), **item.manifest} for item in reports.values()]
        sys.stdout.write(json_module.dumps({"networks": entries}, indent=2) + "\n")
    else:
        _print_table(reports.values())


def _print_table(reports: "Iterable[TrainingReport]") -> None:
    from robench.report.listing import print_listing

    rows = [
        (
            item.network,
            "trained now" if item.trained else "in the cache",
            f"{item.manifest['seconds']} s",
            _last_losses(item.manifest["history"]),
            str(item.manifest["digest"])[:12],
            str(item.folder),
        )
        for item in reports
    ]
    print_listing(stdout_console(), ("network", "state", "training", "last epoch", "digest", "folder"), rows)


def _last_losses(history: object) -> str:
    if not isinstance(history, list) or not history:
        return ""
    hidden = ("epoch", "seconds")
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}" for name, value in history[-1].items() if name not in hidden
    )
