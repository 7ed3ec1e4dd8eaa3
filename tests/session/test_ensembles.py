"""Which attacks are run together."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from robench.api import AttackSpec, NoParameters
from robench.api.records import ADAPTIVE, REJECTION, WORST_CASE
from robench.engine.deploy import Deployed
from robench.engine.plan import Assault
from robench.engine.prepare import Offer, Prepared
from robench.session.ensembles import ensembles_for, rejection_radii

if TYPE_CHECKING:
    from collections.abc import Callable

    from robench.api import Goal, Target
    from robench.engine.plan import Ensemble
    from robench.session.workbench import Workbench


def attack(name: str, goal: Goal = "wrong", suits: Callable[[Target], bool] | None = None) -> Assault:
    spec = AttackSpec(
        name=name, summary="", source="", knowledge="adaptive", parameters=NoParameters, goal=goal, suits=suits
    )
    return Assault(offer=Offer(spec=spec, parameters=NoParameters(), settings={}, origin={}), form="sweep")


def bench(*adaptive: Assault, alone: tuple[Assault, ...] = (), worst_case: bool = False) -> Workbench:
    request = SimpleNamespace(
        worst_case=worst_case, epsilons=("0.1", "0.2"), attacks=tuple(item.name for item in alone)
    )
    return cast("Workbench", SimpleNamespace(request=request, adaptive=list(adaptive), assaults=list(alone)))


def prepared(threshold: float | None = None) -> Prepared:
    module = nn.Identity()
    deployed = Deployed(name="mine", module=module, classifier=module, classes=2, threshold=threshold, stochastic=False)
    return Prepared(
        deployed=deployed, search=deployed, digest="", rule=None, false_positive_rate=None, validation_images=0
    )


def listed(ensembles: list[Ensemble]) -> dict[str, list[str]]:
    return {ensemble.name: [assault.name for assault in ensemble.assaults] for ensemble in ensembles}


def rejects(target: Target) -> bool:
    return target.threshold is not None


RAISING = attack("max-score", goal="rejected")


def test_radii_of_rejection_are_all_shares_of_all_epsilons_ascending() -> None:
    assert rejection_radii(["0.1"]) == ("0.001", "0.005", "0.01", "0.015", "0.02", "0.025", "0.03", "0.05", "0.1")
    both = rejection_radii(["0.1", "0.3"])
    assert list(both) == sorted(set(both), key=float)
    assert {"0.003", "0.3", "0.1"} <= set(both)
    assert "0" not in both
    assert rejection_radii(["1"])[-1] == "1"


def test_attacks_that_fool_and_attacks_that_make_reject_are_ensembles_of_their_own() -> None:
    found = ensembles_for(bench(attack("one"), RAISING, attack("two")), prepared(0.5), print)
    assert listed(found) == {ADAPTIVE: ["one", "two"], REJECTION: ["max-score"]}
    assert [(item.goal, item.epsilons[-1]) for item in found] == [("wrong", "0.2"), ("rejected", "0.2")]
    assert found[1].epsilons == rejection_radii(("0.1", "0.2"))


def test_nothing_makes_a_defense_reject_that_never_does() -> None:
    assert listed(ensembles_for(bench(attack("one"), RAISING), prepared(), print)) == {ADAPTIVE: ["one"]}


def test_an_attack_that_does_not_suit_a_defense_is_left_out() -> None:
    chosen = bench(attack("one"), attack("two", suits=rejects))
    assert listed(ensembles_for(chosen, prepared(), print)) == {ADAPTIVE: ["one"]}
    assert listed(ensembles_for(chosen, prepared(0.5), print)) == {ADAPTIVE: ["one", "two"]}


def test_without_adaptive_attacks_there_is_no_ensemble() -> None:
    assert ensembles_for(bench(alone=(attack("pgd"),)), prepared(0.5), print) == []


def test_an_attack_that_cannot_say_whether_it_suits_is_left_out_and_told() -> None:
    def broken(target: Target) -> bool:
        return bool(target.verdict(torch.zeros(1, 1, 2, 2)).logits)

    notes: list[str] = []
    found = ensembles_for(bench(attack("one"), attack("two", suits=broken)), prepared(), notes.append)
    assert listed(found) == {ADAPTIVE: ["one"]}
    (note,) = notes
    assert note.startswith("attack two is left out against mine: PluginError")


def test_a_defense_that_could_not_be_prepared_gets_all_that_fool() -> None:
    found = ensembles_for(bench(attack("one", suits=rejects), RAISING), None, print)
    assert listed(found) == {ADAPTIVE: ["one"]}


def test_the_worst_case_takes_each_attack_once_the_named_ones_first() -> None:
    named = (attack("pgd"), attack("two"))
    chosen = bench(attack("one"), replace(named[1]), alone=named, worst_case=True)
    assert listed(ensembles_for(chosen, prepared(), print)) == {WORST_CASE: ["pgd", "two", "one"]}
