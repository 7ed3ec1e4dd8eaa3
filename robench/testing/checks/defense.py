"""Rules that a defense must keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api import PluginError
from robench.testing.checks.check import checks
from robench.testing.checks.common import is_offered, takes_its_defaults

if TYPE_CHECKING:
    from torch import Tensor

    from robench.api import Verdict
    from robench.testing.benches.defense import DefenseBench

_IMAGES = 12
_MOST_REJECTED = 0.3
"""Of fresh clean images, where 0.1 is asked for: a defense that combines detectors may go beyond, within reason."""


def builds(bench: DefenseBench) -> None:
    """It is built from its networks, each trained for one epoch."""
    bench.build()


def answers_with_a_verdict(bench: DefenseBench) -> None:
    """It answers with finite float32 logits, one row for each image."""
    verdict = bench.ask(bench.images(_IMAGES), deployed=bench.built)
    wrong = int((~verdict.logits.isfinite()).sum())
    if wrong:
        message = f"{wrong} of {verdict.logits.numel()} logits are NaN or infinite"
        raise PluginError(message, "look for divisions by zero, logarithms and exponentials")


def rejects_as_declared(bench: DefenseBench) -> None:
    """It gives a finite score for each image if it is declared rejecting, and none if not."""
    score = bench.ask(bench.images(_IMAGES), deployed=bench.built).score
    if bench.spec.rejecting and score is None:
        message = "it is declared rejecting and gives no score"
        raise PluginError(message, "put a score into its verdicts, or declare rejecting=False")
    if not bench.spec.rejecting and score is not None:
        message = "it gives a score, which nobody looks at, since it is not declared rejecting"
        raise PluginError(message, "declare rejecting=True")
    if score is not None and not bool(score.isfinite().all()):
        message = f"scores are not finite: {score.tolist()}"
        raise PluginError(message, "an image without a finite score can be neither accepted nor rejected")


def fits_and_calibrates(bench: DefenseBench) -> None:
    """Its threshold is finite and rejects about the asked share of fresh clean images."""
    from robench.testing.benches.bench import RATE

    _ = bench.built
    prepared = bench.prepare()
    bench.require("rejecting")
    threshold = prepared.deployed.threshold
    score = bench.ask(bench.images(300), deployed=prepared.deployed).score
    if threshold is None or score is None:
        message = "there is no threshold"
        raise PluginError(message, "return a finite number from fit, or None to have robench calibrate it")
    share = float((score > threshold).float().mean())
    if share > _MOST_REJECTED:
        message = f"it rejects {share:.0%} of fresh clean images, where {RATE:.0%} are asked for"
        raise PluginError(message, "fit the threshold with FitContext.rank_threshold, at its false_positive_rate")
    if prepared.rule != "own" and prepared.false_positive_rate == 0:
        message = f"no clean image can be rejected at a rate of {RATE:.0%}: too many scores are alike"
        raise PluginError(message, "give a score that differs from image to image")


def leaves_images_alone(bench: DefenseBench) -> None:
    """It does not write to the images that it is asked about."""
    images = bench.images(_IMAGES)
    bench.ask(images, deployed=bench.built)
    if not bool((images == bench.images(_IMAGES)).all()):
        message = "it wrote to the images"
        raise PluginError(message, "use no in-place operation on what forward is given")


def answers_a_single_image(bench: DefenseBench) -> None:
    """It answers a batch of one."""
    bench.ask(bench.images(1))


def answers_alike_in_any_batch(bench: DefenseBench) -> None:
    """Its answer about an image does not depend on the other images of the batch."""
    images = bench.images(_IMAGES)
    together = bench.ask(images)
    for size in (1, 5):
        for start in range(0, _IMAGES, size):
            rows = range(start, min(start + size, _IMAGES))
            part = bench.ask(images[start : start + size], rows)
            what = f"image {start} gets another answer in a batch of {len(rows)}"
            _compare(part, together, list(rows), what, "let no image see another: no statistics over the batch")


def repeats_itself(bench: DefenseBench) -> None:
    """The same images with the same random streams get the same answer, whatever the global generators hold."""
    from robench.testing.guards import disturb

    images = bench.images(_IMAGES)
    first = bench.ask(images)
    disturb(1)
    second = bench.ask(images)
    what = "asked again on the same random streams, it answers differently"
    _compare(second, first, list(range(_IMAGES)), what, "draw from the ImageRandom that forward is given, nowhere else")


def is_stochastic_as_declared(bench: DefenseBench) -> None:
    """Its answer depends on the random streams if it is declared stochastic, and on no chance if not."""
    from robench.testing.guards import disturb

    images = bench.images(_IMAGES)
    first = bench.ask(images)
    disturb(2)
    second = bench.ask(images, purpose="another draw")
    same = _same(first, second)
    if bench.spec.stochastic and same:
        message = "it is declared stochastic, and other random streams do not change its answer"
        raise PluginError(message, "draw from the ImageRandom that forward is given, or declare stochastic=False")
    if not bench.spec.stochastic and not same:
        message = "it is not declared stochastic, and two answers to the same images differ"
        raise PluginError(message, "declare stochastic=True and draw from the ImageRandom that forward is given")


def selects_as_declared(bench: DefenseBench) -> None:
    """If it is declared selecting, its verdict is the candidate of least error; if not, it shows no candidates."""
    import torch

    deployed, images = bench.deployed, bench.images(_IMAGES)
    if not bench.spec.selecting:
        if hasattr(deployed.module, "candidates"):
            message = "it has a method candidates and is not declared selecting"
            raise PluginError(message, "declare selecting=True, so that attacks can ask for them")
        bench.require("selecting")
    if not hasattr(deployed.module, "candidates"):
        message = "it is declared selecting and has no method candidates"
        raise PluginError(message, "write it, see DefenseSpec.selecting, or declare selecting=False")
    verdict = bench.ask(images)
    with torch.no_grad():
        found = deployed.candidates(images, bench.streams(range(_IMAGES), "ask"))
        winner = found.take(found.errors.argmin(1))
    rows = list(range(_IMAGES))
    if _differs(winner.logits, verdict.logits, rows):
        message = "the candidate of least error has other logits than the verdict"
        raise PluginError(message, "let forward return the candidate of least error, with the same draws")
    if verdict.score is not None and _differs(winner.error, verdict.score, rows):
        message = "the error of the chosen candidate is not the score of the verdict"
        raise PluginError(message, "let the score be the error of the candidate that is chosen")
    if callable(getattr(type(deployed.module), "candidate", None)):
        _agrees_on_one(bench, images, rows)


def _agrees_on_one(bench: DefenseBench, images: Tensor, rows: list[int]) -> None:
    """Hold one candidate by itself against the same among all: of classes that are not chosen, too."""
    import torch

    deployed, choice = bench.deployed, torch.tensor(rows, device=images.device) % bench.deployed.classes
    with torch.no_grad():
        among_all = deployed.candidates(images, bench.streams(range(_IMAGES), "ask")).take(choice)
        alone = deployed.candidate(images, bench.streams(range(_IMAGES), "ask"), choice)
    for what in ("images", "logits", "error"):
        if _differs(getattr(alone, what), getattr(among_all, what), rows):
            message = f"candidate returns other {what} than take does of the same classes"
            raise PluginError(message, "return the same candidate with the same draws, or leave the method out")


def reloads(bench: DefenseBench) -> None:
    """Prepared once more, with its networks from the cache, it gives the same answers."""
    from robench.testing.guards import disturb

    before = bench.deployed
    disturb(3)
    workshop = bench.open_workshop(bench.workshop.splits.spec.shape)
    networks = workshop.train_networks(bench.offer, bench.classifier)
    again = [name for name, network in networks.items() if network.trained_now]
    if again:
        message = f"the weights of {', '.join(again)} are not found again"
        raise PluginError(message, "describe the same network at each call: same name, architecture and recipe")
    after = workshop.prepare(bench.offer, bench.classifier).deployed
    images, rows = bench.images(_IMAGES), list(range(_IMAGES))
    first, second = bench.ask(images, deployed=before), bench.ask(images, deployed=after)
    hint = "keep whatever it learns in parameters and buffers"
    _compare(second, first, rows, "with its weights from the cache, it answers differently", hint)
    if before.threshold != after.threshold:
        message = f"its threshold was {before.threshold} and is {after.threshold} with its weights from the cache"
        raise PluginError(message, hint)


def moves_to_a_device(bench: DefenseBench) -> None:
    """All its tensors are parameters or buffers, which move with it; where there is CUDA, it answers there alike."""
    from robench.testing.moving import answers_on_cuda, stray_tensors

    stray = stray_tensors(bench.deployed.module, bench.classifier)
    if stray:
        message = f"these tensors stay behind when it moves to another device: {', '.join(stray)}"
        raise PluginError(message, "use register_buffer, nn.Parameter, nn.ModuleList or nn.ModuleDict")
    images = bench.images(_IMAGES)
    rows = list(range(_IMAGES))
    verdict = answers_on_cuda(bench.deployed, images, lambda device: bench.streams(rows, "ask", device))
    if verdict is not None:
        _compare(verdict, bench.ask(images), rows, "on CUDA, it answers differently", "make tensors on images.device")


def passes_a_gradient(bench: DefenseBench) -> None:
    """Its logits have a finite gradient at most images, and not of zero, unless it is declared not differentiable."""
    import torch

    bench.require("differentiable")
    images = bench.images(_IMAGES).requires_grad_(True)
    with torch.enable_grad():
        logits = bench.deployed.verdict(images, bench.streams(range(_IMAGES))).logits
        best = logits.topk(2, dim=1).values
        if not logits.requires_grad:
            message = "its logits have no gradient"
            raise PluginError(message, "avoid detach, no_grad and numpy, or declare differentiable=False")
        (gradient,) = torch.autograd.grad((best[:, 0] - best[:, 1]).sum(), images, materialize_grads=True)
    flat = gradient.flatten(1)
    alive = int((flat.isfinite().all(1) & (flat != 0).any(1)).sum())
    if 2 * alive < _IMAGES:
        message = f"at {_IMAGES - alive} of {_IMAGES} images the gradient of its logits is zero or not finite"
        raise PluginError(message, "look for rounding, argmax and saturation, or declare differentiable=False")


def leaves_global_state_alone(bench: DefenseBench) -> None:
    """Preparing and asking it change no random generator and no setting of the process."""
    from robench.testing.guards import untouched

    _ = bench.deployed
    with untouched("it"):
        bench.ask(bench.images(_IMAGES), deployed=bench.prepare().deployed)


def prints_nothing(bench: DefenseBench) -> None:
    """Preparing and asking it print nothing on stdout."""
    from robench.testing.guards import silent

    _ = bench.deployed
    with silent("it"):
        bench.ask(bench.images(_IMAGES), deployed=bench.prepare().deployed)


DEFENSE_CHECKS = checks(
    is_offered,
    takes_its_defaults,
    builds,
    answers_with_a_verdict,
    rejects_as_declared,
    fits_and_calibrates,
    leaves_images_alone,
    answers_a_single_image,
    answers_alike_in_any_batch,
    repeats_itself,
    is_stochastic_as_declared,
    selects_as_declared,
    reloads,
    moves_to_a_device,
    passes_a_gradient,
    leaves_global_state_alone,
    prints_nothing,
)


def _compare(part: Verdict, whole: Verdict, rows: list[int], what: str, hint: str) -> None:
    """Raise ``PluginError`` where the answers to some rows are not those of the whole batch."""
    pairs = [("logits", part.logits, whole.logits)]
    if part.score is not None and whole.score is not None:
        pairs.append(("scores", part.score, whole.score))
    scale = float(whole.logits.abs().max())  # a score may be a small difference of large logits
    for name, left, right in pairs:
        if _differs(left, right, rows, scale):
            message = f"{what}: {name} by up to {float((left - right[rows]).abs().max()):.3g}"
            raise PluginError(message, hint)


def _same(left: Verdict, right: Verdict) -> bool:
    if not bool((left.logits == right.logits).all()):
        return False
    return left.score is None or right.score is None or bool((left.score == right.score).all())


def _differs(part: Tensor, whole: Tensor, rows: list[int], scale: float = 0.0) -> bool:
    from robench.testing.benches.bench import nearly

    return not nearly(whole[rows], part, scale)
