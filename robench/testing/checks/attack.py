"""Rules that an attack must keep."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from robench.api import PluginError, RobenchError
from robench.testing.checks.check import NotRun, checks
from robench.testing.checks.common import is_offered, takes_its_defaults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from robench.engine.plan import Assault
    from robench.engine.prepare import Prepared
    from robench.testing.benches.attack import AttackBench, Context

_SHARES = (0.02, 0.1, 0.5)
"""Radii, as shares of the range of pixels."""
_FAR, _EVERYWHERE = 0.3, 1.0
"""Gradients win all images of a linear model at the first; at the second any image is in the ball."""
_REJECTED = 0.1
"""Radius that suffices to have every image rejected, and noise none."""
_SAME = 0.98
"""Share of pixels that must be the same: where a gradient is nearly zero, its sign may turn with the batch."""


def constructs_its_presets(bench: AttackBench) -> None:
    """The parameters of each effort it has a preset for can be made."""
    from robench.config.checks import EFFORTS
    from robench.config.parameters import build_parameters

    for effort, values in bench.spec.presets.items():
        if effort not in EFFORTS:
            message = f'it has a preset for the effort "{effort}"'
            raise PluginError(message, f"there are {', '.join(EFFORTS)}")
        build_parameters(bench.spec.parameters, values, f"preset {effort}")


def stays_in_the_ball(bench: AttackBench) -> None:
    """What it returns is finite, in [0, 1] and in the ball, at several epsilons."""
    for assault in bench.assaults:
        bench.attack(bench.home, assault, bench.few, [bench.epsilon(share) for share in _SHARES])


def leaves_its_inputs_alone(bench: AttackBench) -> None:
    """It does not write to the images, labels and references that it is given."""

    @contextmanager
    def compare(context: Context) -> Iterator[None]:
        given = {
            "images": context.images,
            "labels": context.labels,
            "reference images": context.references.images,
            "reference labels": context.references.labels,
        }
        before = {name: tensor.clone() for name, tensor in given.items()}
        yield
        for name, tensor in given.items():
            if tensor.shape != before[name].shape or not bool((tensor == before[name]).all()):
                message = f"it wrote to the {name}"
                raise PluginError(message, "clone what is to be changed")

    for assault in bench.assaults:
        bench.attack(bench.home, assault, bench.few, [bench.epsilon(_FAR)], around=compare)


def leaves_the_model_alone(bench: AttackBench) -> None:
    """Weights, mode, requires_grad and gradients of the model are what they were."""
    for assault in bench.assaults:
        prepared = bench.prepare(bench.home)
        before = _describe(prepared)
        bench.attack(prepared, assault, bench.few, [bench.epsilon(_FAR)])
        after = _describe(prepared)
        changed = [name for name in before if before[name] != after[name]]
        if changed:
            message = f"it changed the model's {' and '.join(changed)}"
            raise PluginError(message, "take gradients of the images only, with torch.autograd.grad")


def leaves_global_state_alone(bench: AttackBench) -> None:
    """It changes no random generator and no setting of the process."""
    from robench.testing.guards import untouched

    for assault in bench.assaults:
        bench.attack(bench.home, assault, bench.few, [bench.epsilon(_FAR)], around=lambda _: untouched("it"))


def prints_nothing(bench: AttackBench) -> None:
    """It prints nothing on stdout."""
    from robench.testing.guards import silent

    for assault in bench.assaults:
        bench.attack(bench.home, assault, bench.few, [bench.epsilon(_FAR)], around=lambda _: silent("it"))


def repeats_itself(bench: AttackBench) -> None:
    """The same images with the same seed are attacked alike, whatever the global generators hold."""
    from robench.testing.guards import disturb

    for assault in bench.assaults:
        disturb(1)
        first = bench.attack(bench.home, assault, bench.few, [bench.epsilon(_FAR)]).examples
        disturb(2)
        second = bench.attack(bench.home, assault, bench.few, [bench.epsilon(_FAR)]).examples
        if _alike(first, second) < _SAME:
            message = f"attacked again with the same seed, {1 - _alike(first, second):.0%} of the pixels are different"
            raise PluginError(message, "draw from the ImageRandom in the context")


def attacks_a_single_image(bench: AttackBench) -> None:
    """It attacks a batch of one."""
    for assault in bench.assaults:
        bench.attack(bench.home, assault, range(1), [bench.epsilon(_FAR)])


def attacks_alike_in_any_batch(bench: AttackBench) -> None:
    """What becomes of an image does not depend on the other images of the batch."""
    import torch

    epsilons = [bench.epsilon(_SHARES[1])]
    for assault in bench.assaults:
        together = bench.attack(bench.home, assault, bench.few, epsilons).examples
        parts = [bench.attack(bench.home, assault, part, epsilons).examples for part in (bench.few[:1], bench.few[1:])]
        if _alike(torch.cat(parts), together) < _SAME:
            different = 1 - _alike(torch.cat(parts), together)
            message = f"in smaller batches {different:.0%} of the pixels are different"
            raise PluginError(message, "let no image see another: no mean over the batch, no stop for all at once")


def bears_rejection(bench: AttackBench) -> None:
    """It keeps the rules on a defense that rejects."""
    _bear(bench, "detecting")


def bears_randomness(bench: AttackBench) -> None:
    """It keeps the rules on a stochastic defense, if it suits one."""
    _bear(bench, "stochastic")


def bears_selection(bench: AttackBench) -> None:
    """It keeps the rules on a defense that selects among candidates, if it suits one."""
    _bear(bench, "selecting")


def bears_a_constant_model(bench: AttackBench) -> None:
    """On a model that answers all images alike, it returns something admissible or says that there is no gradient."""
    # What it does not suit it may refuse for that reason.
    for target in ("flat", "cut-off"):
        for assault in bench.assaults:
            try:
                bench.attack(target, assault, range(2), [bench.epsilon(_FAR)])
            except RobenchError as error:
                if bench.suits(target) and "gradient" not in error.message:
                    raise
            except Exception as error:
                message = f"on a model that answers all images alike it raises {type(error).__name__}: {error}"
                raise PluginError(
                    message, "raise PluginError where an answer has no gradient (requires_grad)"
                ) from error


def reaches_its_goal(bench: AttackBench) -> None:
    """It gets what it is after more often than a random corner of the ball does, or as often if it asks nothing."""
    rejecting = bench.spec.goal == "rejected"
    target, share = ("detecting", _REJECTED) if rejecting else (bench.home, _FAR)
    for assault in bench.assaults:
        gradients = bench.linear.gradients
        before = gradients.count
        won = _reached(bench, target, assault, share)
        noise = _reached(bench, target, bench.corner(), share)
        if won > noise:
            continue
        if gradients.count > before or rejecting:
            message = f"at epsilon {bench.epsilon(share)} it wins {won} of {len(bench.many)} images and noise {noise}"
            raise PluginError(message, "look for the sign of the loss, the size of steps and what is returned")
        # Without gradients a linear model is hard at that radius; but where every image is in the ball, noise wins.
        won, noise = (_reached(bench, target, item, _EVERYWHERE) for item in (assault, bench.corner()))
        if 2 * won < noise:
            message = f"with every image in the ball it wins {won} of {len(bench.many)} images and noise {noise}"
            raise PluginError(message, "an attack that moves no image far enough shows nothing")


def keeps_its_first_win(bench: AttackBench) -> None:
    """An attack of ensembles returns what has won on the way, also if it goes on and loses it again."""
    if bench.spec.effort is None:
        message = "it declares no effort, so no ensemble runs it"
        raise NotRun(message)
    bench.require_suited("detecting")
    (assault, *_) = bench.assaults
    if not assault.sweeping:
        message = "it does not use the engine's ascent, which keeps wins"
        raise NotRun(message)
    seen: set[int] = set()

    def observe(step: int, slots: Tensor, values: Tensor, hits: Tensor) -> None:  # noqa: ARG001
        seen.update(slots[hits].tolist())

    found = bench.attack("detecting", assault, bench.many, [bench.epsilon(_EVERYWHERE)], observe=observe)
    lost = sorted(slot for slot in seen if found.outcomes[slot][0].outcome.value != bench.spec.goal)
    if lost:
        message = f"on {len(lost)} of {len(bench.many)} images an iterate won that is not what it returned"
        raise PluginError(message, 'leave the keep of ascend alone or make it "first-win", or declare no effort')


ATTACK_CHECKS = checks(
    is_offered,
    takes_its_defaults,
    constructs_its_presets,
    stays_in_the_ball,
    leaves_its_inputs_alone,
    leaves_the_model_alone,
    leaves_global_state_alone,
    prints_nothing,
    repeats_itself,
    attacks_a_single_image,
    attacks_alike_in_any_batch,
    bears_rejection,
    bears_randomness,
    bears_selection,
    bears_a_constant_model,
    reaches_its_goal,
    keeps_its_first_win,
)


def _bear(bench: AttackBench, target: str) -> None:
    bench.require_suited(target)
    for assault in bench.assaults:
        bench.attack(target, assault, bench.few, [bench.epsilon(share) for share in _SHARES[1:]])


def _reached(bench: AttackBench, target: str, assault: Assault, share: float) -> int:
    """Count the images on which an attack gets what the plugin is after."""
    found = bench.attack(target, assault, bench.many, [bench.epsilon(share)])
    return sum(outcome.outcome.value == bench.spec.goal for (outcome,) in found.outcomes)


def _alike(left: Tensor, right: Tensor) -> float:
    """Return the share of pixels that are the same to 1e-5."""
    return float(((left - right).abs() <= 1e-5).double().mean())  # noqa: PLR2004


def _describe(prepared: Prepared) -> dict[str, object]:
    from robench.engine.digests import module_digest

    modules = [form.module for form in (prepared.deployed, prepared.search)]
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return {
        "weights": [module_digest(module) for module in modules],
        "mode": [part.training for module in modules for part in module.modules()],
        "requires_grad": [parameter.requires_grad for parameter in parameters],
        "gradients": [parameter.grad is None for parameter in parameters],
    }
