"""``robench plan``."""

import json as json_module
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robench.cli import options
from robench.cli.context import about_variant, open_session, stdout_console, stdout_for_results_only
from robench.errors import UsageError

if TYPE_CHECKING:
    from robench.config.request import RunRequest
    from robench.session import Session
    from robench.session.planning import Estimate


def plan(
    dataset: options.Dataset = None,
    classifier: options.Classifier = None,
    classifier_weights: options.ClassifierWeights = None,
    defense: options.Defenses = None,
    attack: options.Attacks = None,
    epsilons: options.Epsilons = None,
    norm: options.Norm = None,
    images: options.Images = None,
    seed: options.Seed = None,
    device: options.Device = None,
    profile: options.Profile = None,
    suite: options.Suite = None,
    variant: options.Variant = None,
    settings: options.Settings = None,
    config: options.Config = None,
    db: options.Db = None,
    data_dir: options.DataDir = None,
    worst_case: options.WorstCase = None,
    budget: options.Budget = None,
    engine: options.Engine = None,
    search_precision: options.SearchPrecision = None,
    batch_size: options.BatchSize = None,
    shard: options.Shard = None,
    price_per_hour: Annotated[
        float | None, typer.Option("--price-per-hour", metavar="PRICE", help="Of this device, in any currency.")
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Say what robench run would do, and how long it would take here, by attacking a few images.

    Nothing is trained or stored: what has no weights yet is counted, but not tried.
    """
    from robench.config.request import Overrides

    if price_per_hour is not None and not 0 <= price_per_hour < float("inf"):
        message = f"--price-per-hour: {price_per_hour} is no price"
        raise UsageError(message)
    session = open_session(config=config, quiet=quiet)
    overrides = Overrides(
        dataset=dataset,
        classifier=classifier,
        classifier_weights=classifier_weights,
        defenses=tuple(defense) if defense else None,
        attacks=tuple(attack) if attack else None,
        epsilons=epsilons,
        norm=norm,
        images=images,
        seed=seed,
        device=device,
        profile=profile,
        suite=suite,
        variant=variant,
        settings=tuple(settings or ()),
        db=db,
        data_dir=data_dir,
        batch_size=batch_size,
        engine=engine,
        search_precision=search_precision,
        worst_case=worst_case,
        budget=budget,
        shard=shard,
    )
    with stdout_for_results_only():
        requests = session.resolve_variants(overrides)
        plans = plan_each(session, requests, probe=True)
    print_plans(plans, price_per_hour=price_per_hour, json=json)


def plan_each(
    session: "Session", requests: "Mapping[str | None, RunRequest]", *, probe: bool
) -> "dict[str | None, Estimate]":
    """Plan the variants of a suite, or the one run."""
    plans = {}
    for name, request in requests.items():
        with about_variant(session, name):
            plans[name] = session.plan(request, probe=probe)
    return plans


def print_plans(
    plans: "Mapping[str | None, Estimate]", *, price_per_hour: float | None = None, json: bool = False
) -> None:
    """Print what runs would take, by name of the variant."""
    from robench.report.plans import print_plan

    documents = {name: _document(estimate, price_per_hour) for name, estimate in plans.items()}
    if json:
        whole = (
            documents[None] if None in documents else {"variants": {str(key): item for key, item in documents.items()}}
        )
        sys.stdout.write(json_module.dumps(whole, indent=2) + "\n")
        return
    for name, document in documents.items():
        print_plan(stdout_console(), name, document)


def _document(estimate: "Estimate", price_per_hour: float | None) -> dict[str, Any]:
    seconds = estimate.seconds
    sums = {name: getattr(estimate, name) for name in ("cells", "outcomes", "batches", "passes", "seconds")}
    cost = None if price_per_hour is None or seconds is None else seconds / 3600 * price_per_hour
    return {**asdict(estimate), **sums, "cost": cost}
