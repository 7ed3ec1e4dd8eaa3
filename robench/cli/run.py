"""``robench run``."""

from typing import Annotated

import typer

from robench.cli import options
from robench.cli.context import (
    about_variant,
    command_line,
    open_session,
    print_report,
    print_variants,
    stdout_for_results_only,
)
from robench.cli.plan import plan_each, print_plans


def run(
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
    keep_examples: options.KeepExamples = False,
    engine: options.Engine = None,
    search_precision: options.SearchPrecision = None,
    batch_size: options.BatchSize = None,
    trace: options.Trace = None,
    executor: options.Executor = None,
    workers: options.Workers = None,
    ray_address: options.RayAddress = None,
    shard: options.Shard = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what it would do, without a probe; see plan.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Attack defenses and store what becomes of every image.

    Trains what is missing first. The same command resumes where it was stopped; what is not given comes from
    benchmarks.toml.
    """
    from robench.config.request import Overrides

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
        keep_examples=keep_examples,
        trace=trace,
        executor=executor,
        workers=workers,
        ray_address=ray_address,
        shard=shard,
    )
    with stdout_for_results_only():
        requests = session.resolve_variants(overrides)
        plans = plan_each(session, requests, probe=False) if dry_run else {}
        summaries = {}
        for name, request in requests.items() if not dry_run else ():
            with about_variant(session, name):
                summaries[name] = session.run(request, command_line())
    if dry_run:
        print_plans(plans, json=json)
        return
    form = "json" if json else "table"
    if None in summaries:
        print_report(summaries[None], form)
    else:
        print_variants(str(suite), {str(name): summary for name, summary in summaries.items()}, form)
    if any(summary.failures for summary in summaries.values()):
        raise typer.Exit(1)
