"""Attacks of libraries: what all of them must leave alone, and the traps of each library."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from robench.api import PluginError, UsageError
from robench.engine.deploy import Memo
from robench_plugins.attacks import _autoattack_torch, autoattack, foolbox_attacks
from robench_plugins.attacks._draws_torch import image_draws

if TYPE_CHECKING:
    from robench.api import Norm
    from tests.plugins.attacks.libraries.conftest import Laboratory

SPECS = {spec.name: spec for module in (foolbox_attacks, autoattack) for spec in module.robench_attacks()}
PAIRS = [(name, norm) for name, spec in SPECS.items() for norm in spec.norms]
BLIND = ("hopskipjump", "boundary", "uniform-noise", "gaussian-noise", "square")
"""Need no gradient of the defense."""
RANDOM = ("hopskipjump", "boundary", "uniform-noise", "gaussian-noise", "square", "apgd", "apgd-t")
RADIUS: dict[Norm, float] = {"linf": 0.1, "l2": 1.0}


def length(change: torch.Tensor, norm: Norm) -> torch.Tensor:
    flat = change.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.square().sum(1).sqrt()


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let AutoAttack, which has nothing to set, take few steps."""
    for name, value in (("_STEPS", 8), ("_TARGETS", 2), ("_QUERIES", 30)):
        monkeypatch.setattr(_autoattack_torch, name, value)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("kind", ["plain", "noisy guarded"])
@pytest.mark.parametrize(("name", "norm"), PAIRS)
def test_what_becomes_of_an_image_does_not_depend_on_its_batch(
    laboratory: Laboratory, name: str, norm: Norm, kind: str
) -> None:
    deployed = laboratory.defend(kind)
    rows = range(4)
    whole = laboratory.try_out(name, deployed, norm=norm, epsilon=RADIUS[norm] / 2, rows=rows)
    for row in rows:
        alone = laboratory.try_out(name, deployed, norm=norm, epsilon=RADIUS[norm] / 2, rows=[row])
        torch.testing.assert_close(alone[0], whole[row], atol=1e-6, rtol=0)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("classifier", ["elementwise", "convolution"])
@pytest.mark.parametrize(("name", "norm"), PAIRS)
def test_an_attack_wins_within_its_rules_and_leaves_everything_else_alone(
    laboratory: Laboratory, name: str, norm: Norm, classifier: str, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed = laboratory.defend("plain", classifier)
    random.seed(5)
    torch.manual_seed(5)
    generators = random.getstate(), torch.random.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    context = laboratory.context(name, deployed, norm=norm, epsilon=RADIUS[norm])
    found = laboratory.attack(context, name)
    assert random.getstate() == generators[0]
    assert torch.equal(torch.random.get_rng_state(), generators[1])
    assert str(np.random.get_state()) == generators[2]  # noqa: NPY002
    assert torch.is_grad_enabled()
    assert not any(part.training for part in deployed.module.modules())
    assert not any(value.requires_grad or value.grad is not None for value in deployed.module.parameters())
    assert torch.equal(context.images, laboratory.images)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    if SPECS[name].run is not None:
        assert float(length(found - context.images, norm).max()) <= RADIUS[norm] * (1 + 1e-6)
    if "noise" not in name:
        assert bool(laboratory.outcomes(deployed, found)[0].any())
    assert torch.equal(laboratory.try_out(name, deployed, norm=norm, epsilon=RADIUS[norm]), found)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", RANDOM)
def test_another_seed_draws_something_else(laboratory: Laboratory, name: str) -> None:
    deployed, norm = laboratory.defend(), SPECS[name].norms[-1]
    found = [laboratory.try_out(name, deployed, norm=norm, epsilon=3.0, seed=seed) for seed in (0, 1)]
    assert not torch.equal(*found)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("name", SPECS)
def test_a_rejection_is_no_success(laboratory: Laboratory, name: str) -> None:
    deployed, norm = laboratory.defend("guarded"), SPECS[name].norms[0]
    found = laboratory.try_out(name, deployed, norm=norm, epsilon=1.5 * RADIUS[norm])
    fooled, rejected = laboratory.outcomes(deployed, found)
    moved = (found != laboratory.images).flatten(1).any(1)
    before = laboratory.outcomes(deployed, laboratory.images)[1]
    assert bool(rejected[moved].logical_not().all())
    assert bool(fooled[moved].all())
    assert bool(moved.any()) or "noise" in name
    assert bool(before.any())  # that of class 1, whose images are rejected as they are


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("kind", ["plain", "guarded"])
@pytest.mark.parametrize("name", SPECS)
def test_a_defense_that_never_changes_its_mind_leaves_images_as_they_are(
    laboratory: Laboratory, name: str, kind: str
) -> None:
    found = laboratory.try_out(name, laboratory.defend(kind, "constant"), norm=SPECS[name].norms[0])
    assert torch.equal(found, laboratory.images)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("name", SPECS)
def test_a_defense_that_lets_no_gradient_pass_is_said_to_do_so(laboratory: Laboratory, name: str) -> None:
    deployed, norm = laboratory.defend("plain", "blocked"), SPECS[name].norms[0]
    if name in BLIND:
        laboratory.try_out(name, deployed, norm=norm)
        return
    with pytest.raises(PluginError, match="has no gradient"):
        laboratory.try_out(name, deployed, norm=norm)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(("name", "norm"), PAIRS)
def test_rounding_in_the_images_is_no_error(laboratory: Laboratory, name: str, norm: Norm) -> None:
    deployed = laboratory.defend()
    context = laboratory.context(name, deployed, norm=norm)
    context.images[context.images == 1] = 1.000001
    found = laboratory.attack(context, name)
    assert found.shape == context.images.shape
    assert bool(found.isfinite().all())


def test_an_image_that_is_answered_wrongly_already_is_left_alone(laboratory: Laboratory) -> None:
    deployed = laboratory.defend()
    for name in ("cw", "deepfool", "hopskipjump", "boundary", "fab", "apgd"):
        context = laboratory.context(name, deployed, norm=SPECS[name].norms[-1])
        context.labels[0] = (context.labels[0] + 1) % deployed.classes
        found = laboratory.attack(context, name)
        assert torch.equal(found[0], laboratory.images[0]), name
        assert not torch.equal(found[1], laboratory.images[1]), name


def test_uniform_noise_stays_in_the_ball_where_that_of_foolbox_does_not(laboratory: Laboratory) -> None:
    import eagerpy
    import foolbox

    deployed = laboratory.defend("plain", "blocked")
    draw = -torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    draw[0, 0, 0, 0] = 0.5
    theirs = foolbox.attacks.LinfRepeatedAdditiveUniformNoiseAttack()
    wrapped = eagerpy.astensor(draw)
    factor = theirs.get_epsilons(wrapped, wrapped, 0.1, min_=0, max_=1).raw
    assert float((factor * draw).abs().max()) > 0.15
    context = laboratory.context("uniform-noise", deployed, epsilon=0.1, draws=50)
    memo = length(laboratory.attack(context, "uniform-noise") - context.images, "linf")
    assert float(memo.max()) <= 0.1 + 1e-6


def test_a_draw_that_images_would_share_is_refused() -> None:
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    with (
        image_draws(generators, torch.device("cpu")),
        pytest.raises(RuntimeError, match=r"a draw of shape \(3,\) for 2 images"),
    ):
        torch.rand(3)


def test_attacks_say_which_tasks_they_do_not_fit(laboratory: Laboratory) -> None:
    with pytest.raises(UsageError, match="apgd-t needs 4 classes, and there are 3"):
        laboratory.try_out("autoattack", laboratory.defend(classes=3))
    context = laboratory.context("square", laboratory.defend(), norm="l2")
    for images, norm in ((context.images[..., :4, :4], "l2"), (context.images[..., :4], "linf")):
        object.__setattr__(context, "images", images)
        object.__setattr__(context.budget, "norm", norm)
        with pytest.raises(UsageError, match="square: images have"):
            laboratory.attack(context, "square")


@pytest.mark.parametrize("name", SPECS)
def test_parameters_that_make_no_sense_are_refused(name: str) -> None:
    parameters = SPECS[name].parameters
    for field in parameters.__dataclass_fields__:
        with pytest.raises(UsageError, match=f"{field} is 0"):
            parameters(**{field: 0})


@pytest.mark.parametrize("epsilon", [0.05, 0.3])
@pytest.mark.parametrize("name", ["apgd", "apgd-t", "square", "uniform-noise"])
def test_steps_scale_with_epsilon(laboratory: Laboratory, name: str, epsilon: float) -> None:
    deployed = laboratory.defend("plain", "constant")
    farthest = 0.0

    def watch(_module: object, arguments: tuple[torch.Tensor, ...]) -> None:
        nonlocal farthest
        for image in arguments[0]:
            farthest = max(farthest, float((image.detach() - laboratory.images).abs().flatten(1).amax(1).min()))

    deployed.module.register_forward_pre_hook(watch)
    laboratory.try_out(name, deployed, epsilon=epsilon)
    assert farthest == pytest.approx(epsilon, rel=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_rounding_beyond_a_tiny_ball_costs_no_win(laboratory: Laboratory, norm: Norm) -> None:
    deployed = laboratory.defend()
    context = laboratory.context("apgd", deployed, norm=norm, epsilon=0.003)
    beyond = laboratory.try_out("deepfool", deployed, norm=norm)
    context.images.add_(0.998 * (beyond - context.images))
    before = context.images.clone()
    found = laboratory.attack(context, "apgd")
    assert bool(laboratory.outcomes(deployed, found)[0].all())
    assert float(length(found - before, norm).max()) <= 0.003 + 1e-6


@pytest.mark.slow
def test_autoattack_takes_the_steps_of_the_official_version(laboratory: Laboratory) -> None:
    deployed, memo = laboratory.defend("plain", "constant", classes=10), Memo()
    context = laboratory.context("autoattack", deployed, rows=[0], memo=memo)
    laboratory.attack(context, "autoattack")
    check = 2  # whether the image stands before, and whether it is won after
    apgd = check + 1 + 100
    apgd_targeted = 9 * (apgd + 1)  # once more to rank the classes
    fab_targeted = 9 * (check + 2 + 2 * 100)  # each step asks for a gradient and for an answer
    square = check + 1 + 5000
    assert memo.queries == apgd + apgd_targeted + fab_targeted + square


def test_no_part_of_autoattack_runs_on_images_that_have_fallen(laboratory: Laboratory) -> None:
    deployed, memo = laboratory.defend(), Memo()
    found = laboratory.attack(laboratory.context("autoattack", deployed, epsilon=0.5, memo=memo), "autoattack")
    assert bool(laboratory.outcomes(deployed, found)[0].all())
    assert memo.queries == len(found) * 103
