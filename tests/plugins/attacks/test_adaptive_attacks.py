"""Attacks that know the defense: what all of them must leave alone, and what each of them must win."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from robench.api import PluginError
from robench.api.records import Outcome
from robench_plugins.attacks import blind, detector, selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.engine.prepare import Prepared
    from robench.engine.runner import Attacked
    from tests.plugins.attacks.conftest import Arena

NEW = tuple(spec.name for module in (blind, detector, selection) for spec in module.robench_attacks())
KINDS = ("plain", "guarded", "noisy", "noisy guarded", "selecting guarded", "noisy selecting guarded")
PAIRS = [(name, kind) for name in NEW for kind in KINDS if name != "soft-selection" or "selecting" in kind]
BLIND = ("transfer", "noise", "square-reject", "hopskipjump-reject")
"""Need no gradient of the defense."""
EPSILONS = ("0.01", "0.05")
SOME = range(4)


def wins(found: Attacked, goal: Outcome = Outcome.WRONG) -> int:
    return sum(outcome.outcome is goal for (outcome,) in found.outcomes)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_what_becomes_of_an_image_depends_neither_on_its_batch_nor_on_other_epsilons(
    arena: Arena, name: str, kind: str
) -> None:
    prepared = arena.defend(kind)
    whole = arena.attack(name, prepared, EPSILONS, positions=SOME)
    parts = [arena.attack(name, prepared, EPSILONS, positions=part, rows=3) for part in ([0, 1, 2], [3])]
    torch.testing.assert_close(torch.cat([part.examples for part in parts]), whole.examples, atol=1e-6, rtol=0)
    assert tuple(outcomes for part in parts for outcomes in part.outcomes) == whole.outcomes
    for position in (1, 3):
        for place, epsilon in enumerate(EPSILONS):
            alone = arena.attack(name, prepared, (epsilon,), positions=[position])
            torch.testing.assert_close(alone.examples[0, 0], whole.examples[position, place], atol=1e-6, rtol=0)
            assert alone.outcomes[0][0] == whole.outcomes[position][place]


@pytest.mark.parametrize("kind", ["guarded", "noisy selecting guarded"])
@pytest.mark.parametrize("name", [name for name in NEW if name not in {"square-reject", "hopskipjump-reject"}])
def test_attacks_search_in_l2_balls_and_image_by_image(arena: Arena, name: str, kind: str) -> None:
    if name == "soft-selection" and "selecting" not in kind:
        return
    prepared, epsilons = arena.defend(kind), ("0.05", "0.2")
    whole = arena.attack(name, prepared, epsilons, positions=SOME, norm="l2")
    parts = [arena.attack(name, prepared, epsilons, positions=part, norm="l2") for part in ([0, 1, 2], [3])]
    torch.testing.assert_close(torch.cat([part.examples for part in parts]), whole.examples, atol=1e-6, rtol=0)
    originals = arena.runner().attack(prepared, None, SOME, [("0",)] * 4).examples
    distance = (whole.examples - originals).flatten(2).norm(dim=2)
    assert bool((distance <= torch.tensor([0.05, 0.2]) + 1e-6).all())
    assert float(distance.max()) > 0.1  # in Linf this would be a pixel moved by 0.2, or sixteen of them


def test_attacks_that_cannot_search_in_l2_do_not_claim_to(arena: Arena) -> None:
    assert [name for name in arena.specs if "l2" not in arena.specs[name].norms] == [
        "square-reject",
        "hopskipjump-reject",
    ]


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_an_attack_keeps_to_the_ball_and_leaves_everything_else_alone(arena: Arena, name: str, kind: str) -> None:
    prepared = arena.defend(kind)
    module = prepared.deployed.module
    weights = {key: value.clone() for key, value in module.state_dict().items()}
    random.seed(5)
    torch.manual_seed(5)
    generators = random.getstate(), torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002 (the global one)
    found = arena.attack(name, prepared, EPSILONS, positions=SOME)
    assert random.getstate() == generators[0]
    assert torch.equal(torch.random.get_rng_state(), generators[1])
    assert str(np.random.get_state()) == str(generators[2])  # noqa: NPY002
    assert not any(part.training for part in module.modules())
    assert not any(value.requires_grad or value.grad is not None for value in module.parameters())
    assert all(torch.equal(value, weights[key]) for key, value in module.state_dict().items())
    originals = torch.stack([torch.from_numpy(arena.split.images[own[0].image]) for own in found.outcomes])
    distance = (found.examples - originals[:, None]).abs().flatten(2).amax(2)
    assert bool((distance <= torch.tensor([float(epsilon) for epsilon in EPSILONS]) + 1e-6).all())
    assert float(found.examples.min()) >= 0
    assert float(found.examples.max()) <= 1
    again = arena.attack(name, prepared, EPSILONS, positions=SOME)
    assert torch.equal(again.examples, found.examples)
    assert again.outcomes == found.outcomes


@pytest.mark.parametrize("name", ["noise", "square-reject"])
def test_another_seed_draws_something_else(arena: Arena, name: str) -> None:
    prepared = arena.defend("plain")
    first, other = (arena.attack(name, prepared, seed=seed, positions=SOME) for seed in (0, 1))
    moved = [
        found.examples[:, 0] - torch.from_numpy(arena.split.images[[own[0].image for own in found.outcomes]])
        for found in (first, other)
    ]
    assert not torch.equal(*moved)


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("name", [name for name in NEW if name != "soft-selection"])
def test_a_defense_that_never_changes_its_mind_is_not_beaten_and_no_error(
    arena: Arena, name: str, guarded: bool
) -> None:
    prepared = arena.constant(differentiable=True, guarded=guarded)
    found = arena.attack(name, prepared, ("0.3",))
    assert wins(found) == sum(outcome.label != 0 for (outcome,) in found.outcomes)
    assert bool(found.examples.isfinite().all())


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("name", [name for name in NEW if name != "soft-selection"])
def test_a_defense_that_lets_no_gradient_pass_is_said_to_do_so(arena: Arena, name: str, guarded: bool) -> None:
    prepared = arena.constant(differentiable=False, guarded=guarded)
    if name in BLIND or (name == "max-score" and not guarded):  # without a score there is nothing to raise
        arena.attack(name, prepared, positions=SOME)
        return
    with pytest.raises(PluginError, match="has no gradient"):
        arena.attack(name, prepared, positions=SOME)


def test_an_attack_on_candidates_says_that_a_defense_has_none(arena: Arena) -> None:
    with pytest.raises(PluginError, match="defense toy does not show what it chooses from; use an attack that"):
        arena.attack("soft-selection", arena.defend("plain"))


def test_the_masked_head_stops_naive_descent_but_no_attack_that_knows_the_detector(arena: Arena) -> None:
    prepared = arena.defend("guarded")
    assert wins(arena.attack("pgd", prepared, ("0.2",))) == 0
    for name in ("transfer", "joint", "selective-pgd", "orthogonal-pgd", "forced-class", "latent-line"):
        assert wins(arena.attack(name, prepared, ("0.2",))) == 8, name


def test_descent_on_the_answer_misses_a_choice_that_can_be_forced(arena: Arena) -> None:
    prepared = arena.defend("selecting", pull=1.0)  # what is classified does not depend on the image
    assert wins(arena.attack("pgd", prepared, ("0.2",))) < 6
    for name in ("forced-class", "latent-line", "soft-selection"):
        assert wins(arena.attack(name, prepared, ("0.2",))) == 8, name


def test_an_average_over_draws_beats_a_noisy_defense(arena: Arena) -> None:
    prepared = arena.defend("noisy guarded")
    naive, averaged = (arena.attack(name, prepared, ("0.2",)) for name in ("pgd", "eot-pgd"))
    # The mean share of draws is what is reported of a stochastic defense.
    before, after = (sum(row[0].fooled for row in found.outcomes) / 8 for found in (naive, averaged))
    assert before <= 1 / 8
    assert after >= 0.7


@pytest.mark.parametrize("name", ["noise", "square-reject", "hopskipjump-reject"])
def test_blind_attacks_win_where_most_of_the_ball_is_lost(arena: Arena, name: str) -> None:
    assert wins(arena.attack(name, arena.defend("plain"), ("0.3",))) >= 7


@pytest.mark.parametrize("kind", ["guarded", "noisy guarded"])
def test_raising_the_score_makes_a_detector_reject(arena: Arena, kind: str) -> None:
    assert wins(arena.attack("max-score", arena.defend(kind), ("0.2",)), Outcome.REJECTED) == 8


def suited(arena: Arena, prepared: Prepared) -> set[str]:
    from robench.engine.deploy import BoundTarget
    from robench.engine.seeding import ImageStreams

    target = BoundTarget(prepared.deployed, ImageStreams((), torch.device("cpu"), "suits"))
    return {name for name in arena.new if (ask := arena.specs[name].suits) is None or ask(target)}


@pytest.mark.parametrize(
    ("kind", "unsuited"),
    [
        ("plain", ["selective-pgd", "orthogonal-pgd", "max-score", "eot-pgd", "soft-selection"]),
        ("guarded", ["eot-pgd", "soft-selection"]),
        ("noisy", ["selective-pgd", "orthogonal-pgd", "max-score", "soft-selection"]),
        ("selecting", ["selective-pgd", "orthogonal-pgd", "max-score", "eot-pgd"]),
        ("noisy selecting guarded", []),
    ],
)
def test_attacks_say_which_defenses_they_suit(arena: Arena, kind: str, unsuited: Sequence[str]) -> None:
    assert set(arena.new) - suited(arena, arena.defend(kind)) == set(unsuited)


def test_only_attacks_that_know_the_defense_have_an_effort_and_all_of_them_have(arena: Arena) -> None:
    for name, spec in arena.specs.items():
        assert (spec.effort is not None) == (name in arena.new)
        assert (spec.knowledge == "adaptive") == (name in arena.new)


def test_presets_are_parameters_and_a_greater_effort_never_tries_less(arena: Arena) -> None:
    for name in arena.new:
        spec = arena.specs[name]
        efforts = [spec.parameters(**spec.presets.get(effort, {})) for effort in ("quick", "standard", "thorough")]
        for less, more in pairwise(efforts):
            assert all(getattr(more, field) >= getattr(less, field) for field in vars(spec.parameters()))


@pytest.mark.parametrize("name", NEW)
def test_parameters_below_one_are_refused(arena: Arena, name: str) -> None:
    from robench.api import UsageError

    cls = arena.specs[name].parameters
    for field, value in vars(cls()).items():
        if isinstance(value, int):
            with pytest.raises(UsageError, match=f"{name}.*: {field} is 0; give at least 1"):
                cls(**{field: 0})
