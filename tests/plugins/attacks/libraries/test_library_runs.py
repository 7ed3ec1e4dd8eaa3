"""Attacks of libraries through the engine: one run for all epsilons, judged by the defense itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from robench.api.records import Outcome
from robench.engine.data import LoadedSplit
from robench.engine.plan import choose_form
from robench.engine.prepare import Offer, Prepared
from robench.engine.runner import Runner, pick_references
from robench_plugins.attacks import autoattack, foolbox_attacks

if TYPE_CHECKING:
    from robench.api import Norm
    from robench.engine.runner import Attacked
    from tests.conftest import ToyLab
    from tests.plugins.attacks.libraries.conftest import Laboratory

SPECS = {spec.name: spec for module in (foolbox_attacks, autoattack) for spec in module.robench_attacks()}
CLOSEST = [(name, norm) for name, spec in SPECS.items() if spec.minimal is not None for norm in spec.norms]
EPSILONS: dict[Norm, tuple[str, ...]] = {"linf": ("0.01", "0.05", "0.4"), "l2": ("0.1", "0.5", "8")}


def attack(laboratory: Laboratory, name: str, norm: Norm, epsilons: tuple[str, ...]) -> Attacked:
    deployed = laboratory.defend("guarded")
    prepared = Prepared(
        deployed=deployed, search=deployed, digest="", rule=None, false_positive_rate=None, validation_images=0
    )
    split = LoadedSplit(images=laboratory.images.numpy(), labels=laboratory.labels(deployed).numpy(), digest="")
    cpu = torch.device("cpu")
    runner = Runner(split, pick_references(split, cpu), seed=0, device=cpu, rows=100, norm=norm)
    parameters = laboratory.context(name, deployed, norm=norm).parameters
    assault = choose_form(Offer(spec=SPECS[name], parameters=parameters, settings={}, origin={}), "native")
    return runner.attack(prepared, assault, range(len(split)), [epsilons] * len(split))


@pytest.mark.parametrize(("name", "norm"), CLOSEST)
def test_one_search_for_the_closest_image_answers_for_every_epsilon(
    laboratory: Laboratory, name: str, norm: Norm
) -> None:
    every, one = attack(laboratory, name, norm, EPSILONS[norm]), attack(laboratory, name, norm, EPSILONS[norm][1:2])
    assert every.queries == one.queries > 0
    assert [row[1] for row in every.outcomes] == [row[0] for row in one.outcomes]
    wins = [sum(row[place].outcome is Outcome.WRONG for row in every.outcomes) for place in range(3)]
    assert wins == sorted(wins)
    assert wins[0] < wins[-1]


def test_a_run_takes_attacks_of_both_libraries(lab: ToyLab) -> None:
    summary = lab.run(
        defenses=("none",), attacks=("deepfool", "uniform-noise", "apgd", "fab"), norm="l2", epsilons="0.2,2", images=20
    )
    assert summary.run.status == "complete"
    accuracy = {(row.attack, row.epsilon): row.accuracy for row in summary.results}
    for name in ("deepfool", "apgd", "fab"):
        assert accuracy[name, "2"] < accuracy[name, "0.2"] <= accuracy["uniform-noise", "0.2"]
