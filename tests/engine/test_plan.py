"""What names the cells of a run: a subject is what is evaluated, whatever attacks it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from robench.api import UsageError
from robench.engine.plan import Assault, Ensemble, Plan, choose_form, run_id
from robench.engine.prepare import Offer, Prepared

PLAN = Plan(
    dataset="mnist",
    data_digest="d",
    classifier="A",
    classifier_digest="c",
    seed=1,
    device="cpu",
    norm="linf",
    engine={"code": "1"},
)


def offer(*, stochastic: bool = False, name: str = "pgd", code: str = "1", **parameters: object) -> Offer:
    spec = SimpleNamespace(name=name, knowledge="adaptive", stochastic=stochastic, minimal=None)
    return Offer(spec=spec, parameters=None, settings=parameters, origin={"code": code})


def prepared(*, digest: str = "w", threshold: float | None = 0.5) -> Prepared:
    return cast(
        "Prepared",
        SimpleNamespace(
            digest=digest,
            rule="own",
            deployed=SimpleNamespace(threshold=threshold),
            search=SimpleNamespace(precision="float32"),
        ),
    )


def subjects(
    plan: Plan = PLAN, defense: Offer | None = None, weights: Prepared | None = None, **attack: Any
) -> set[str]:
    assault = Assault(offer=offer(**attack), form="sweep")
    sweeps = plan.sweeps(defense or offer(name="magnet"), weights or prepared(), [assault], ["0.1", "0.2"])
    return {cell.subject for sweep in sweeps for cell in sweep.cells}


def test_all_cells_of_a_defense_have_one_subject_whatever_attacks_it() -> None:
    (subject,) = subjects()
    assert len(subject) == 64
    other = replace(PLAN, seed=2, device="cuda", norm="l2", engine={"code": "2"})
    assert subjects(other, name="fgsm", steps=3, code="2") == {subject}


@pytest.mark.parametrize(
    "changed",
    [
        {"plan": replace(PLAN, dataset="fashion-mnist")},
        {"plan": replace(PLAN, data_digest="e")},
        {"plan": replace(PLAN, classifier="B")},
        {"plan": replace(PLAN, classifier_digest="e")},
        {"defense": offer(name="puvae")},
        {"defense": offer(name="magnet", code="2")},
        {"defense": offer(name="magnet", candidates=3)},
        {"weights": prepared(digest="v")},
        {"weights": prepared(threshold=0.25)},
        {"weights": prepared(threshold=None)},
    ],
)
def test_another_defense_or_classifier_is_another_subject(changed: dict[str, Any]) -> None:
    assert subjects(**changed).isdisjoint(subjects())


def test_cells_say_whether_the_defense_is_stochastic() -> None:
    for stochastic in (False, True):
        (clean,) = PLAN.sweeps(offer(stochastic=stochastic), prepared(), [], [])
        assert [cell.stochastic for cell in clean.cells] == [stochastic]


def ensemble(*names: str, epsilons: tuple[str, ...] = ("0.1", "0.2"), **parameters: Any) -> Ensemble:
    assaults = tuple(Assault(offer=offer(name=name, **parameters), form="sweep") for name in names)
    return Ensemble(name="adaptive", assaults=assaults, epsilons=epsilons)


def test_an_ensemble_has_cells_of_its_own_and_one_row_of_cells_for_each_member() -> None:
    sweep = PLAN.lay_out(offer(name="magnet"), prepared(), ensemble("noise", "joint"))
    assert [(cell.attack, cell.epsilon, cell.member) for cell in sweep.cells] == [
        ("adaptive", "0.1", False),
        ("adaptive", "0.2", False),
    ]
    assert [[(cell.attack, cell.epsilon, cell.member) for cell in own] for own in sweep.members] == [
        [("noise", "0.1", True), ("noise", "0.2", True)],
        [("joint", "0.1", True), ("joint", "0.2", True)],
    ]
    cells = [*sweep.cells, *(cell for own in sweep.members for cell in own)]
    assert len({cell.key for cell in cells}) == 6
    assert len({cell.ensemble for cell in cells}) == 1
    assert sweep.cells[0].ensemble
    assert len({cell.subject for cell in cells} | subjects()) == 1


@pytest.mark.parametrize(
    "other",
    [
        ensemble("joint", "noise"),  # an attack only tries to do better than those before it
        ensemble("noise"),
        ensemble("noise", "joint", "transfer"),
        ensemble("noise", "joint", steps=3),
        ensemble("noise", "joint", epsilons=("0.1", "0.2", "0.3")),  # where the search goes depends on the whole list
        replace(ensemble("noise", "joint"), name="worst-case"),
        replace(ensemble("noise", "joint"), goal="rejected"),
    ],
)
def test_all_that_steers_an_ensemble_is_in_the_key_of_each_of_its_cells(other: Ensemble) -> None:
    keys = [
        {cell.key for cell in (*sweep.cells, *(cell for own in sweep.members for cell in own))}
        for sweep in (
            PLAN.lay_out(offer(name="magnet"), prepared(), each) for each in (ensemble("noise", "joint"), other)
        )
    ]
    assert keys[0].isdisjoint(keys[1])


def test_an_ensemble_without_one_attack_is_one_that_never_had_it() -> None:
    assert ensemble("noise", "joint", "transfer").without("joint") == ensemble("noise", "transfer")


def test_an_attack_on_its_own_is_no_member() -> None:
    for sweep in PLAN.sweeps(offer(name="magnet"), prepared(), [Assault(offer=offer(), form="sweep")], ["0.1"]):
        assert [(cell.member, cell.ensemble) for cell in sweep.cells] == [(False, "")]
        assert sweep.members == ()


def test_members_do_not_change_what_a_run_is() -> None:
    sweep = PLAN.lay_out(offer(name="magnet"), prepared(), ensemble("noise", "joint"))
    assert run_id(sweep.cells, 5) != run_id([*sweep.cells, *sweep.members[0]], 5)
    assert run_id(sweep.cells, 5) != run_id(sweep.cells, 6)


@pytest.mark.parametrize(
    ("knowledge", "worst_case", "keep", "draws"),
    [("naive", False, "last", 1), ("naive", True, "first-win", 1), ("adaptive", False, "first-win", 10)],
)
def test_what_knows_the_defense_keeps_its_wins_and_is_judged_on_several_draws(
    knowledge: str, worst_case: bool, keep: str, draws: int
) -> None:
    spec = SimpleNamespace(name="pgd", knowledge=knowledge, run=None, sweep=print, minimal=None)
    chosen = choose_form(replace(offer(), spec=spec), "native", worst_case=worst_case)
    assert (chosen.form, chosen.keep, chosen.draws) == ("sweep", keep, draws)


def test_the_library_is_asked_for_only_where_an_attack_has_that_form() -> None:
    known = {"name": "pgd", "knowledge": "naive", "sweep": print, "minimal": None}
    plain, native = (SimpleNamespace(**known, run=run) for run in (print, None))
    assert choose_form(replace(offer(), spec=plain), "foolbox").form == "plain"
    assert choose_form(replace(offer(), spec=plain), "native").form == "sweep"
    with pytest.raises(UsageError, match="--engine foolbox: attack pgd has no such form"):
        choose_form(replace(offer(), spec=native), "foolbox")
