from __future__ import annotations

import sys
from pathlib import Path

import pytest
import typer.main

from robench.cli.main import app
from robench.config.file import load_config
from robench.config.location import packaged_source
from tests.results.__main__ import main
from tests.results.plan import ABLATED, DATASETS, Job, Scale, ablations, jobs

FULL = Scale(profile="paper", images=10_000, adaptive_images=1000, epsilons="", data_dir=None)
REDUCED = Scale(
    profile="fast", images=1000, adaptive_images=200, epsilons="0.1,0.3", data_dir=Path("data"), executor="processes"
)


def words(planned: list[Job]) -> list[tuple[str, ...]]:
    return [job.arguments for job in planned]


@pytest.mark.parametrize("scale", [FULL, REDUCED])
@pytest.mark.parametrize("dataset", DATASETS)
def test_every_command_is_one_that_robench_knows(dataset: str, scale: Scale) -> None:
    command = typer.main.get_command(app)
    suites = load_config(packaged_source()).suites
    planned = jobs(dataset, scale, Path("x.db"))
    if dataset in ABLATED:
        planned.append(ablations(dataset, scale, Path("x.db")))
    for name, *rest in words(planned):
        context = command.make_context("robench", [name, *rest])
        chosen = command.get_command(context, name)  # type: ignore[attr-defined]
        assert chosen.make_context(name, list(rest)).params["suite"] in suites


def test_what_is_less_than_the_paper_did_is_in_the_title() -> None:
    assert FULL.reduced == ""
    assert REDUCED.reduced == "profile fast, 1,000 images, epsilons 0.1,0.3"


def test_training_comes_before_attacks_and_the_naive_before_the_adaptive() -> None:
    names = [job.name.partition(": ")[2] for job in jobs("mnist", FULL, Path("x.db"))]
    assert names == ["training", "the paper's attacks", "attacks that know the defense"]


def test_every_suite_of_ablations_is_planned() -> None:
    suites = load_config(packaged_source()).suites
    assert {f"ablations-{dataset}" for dataset in ABLATED} == {name for name in suites if name.startswith("ablations-")}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--profile", "fst"),
        ("--images", "0"),
        ("--adaptive-images", "20000"),
        ("--ablation-images", "many"),
        ("--epsilons", "0.1,abc"),
        ("--executor", "nobody"),
    ],
)
def test_what_robench_would_refuse_is_refused_before_hours_of_training(
    option: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["results", option, value])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"argument {option}: " in capsys.readouterr().err
