"""What is measured. Each task runs in a process of its own, so that neither memory nor allocators are shared."""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from bench_machine import convolution_peak, describe, measure
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from robench.api.records import Outcome
from robench.engine.ascent import STEPS_BETWEEN_CHOICES, GradientAscent
from robench.engine.deploy import BoundTarget, Choices
from robench.engine.ensemble import find_worst_case
from robench.engine.progress import Silent
from robench.engine.runner import Runner
from robench.engine.seeding import ImageStreams

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench_models import Bench
    from torch import Tensor

    from robench.api.records import ImageOutcome

RELATIVE_STEP = 0.01 / 0.3
GRID = [f"{number / 100:.2f}".rstrip("0") for number in range(1, 31)]


def _accuracy(outcomes: tuple[ImageOutcome, ...]) -> float:
    return sum(item.outcome is not Outcome.WRONG for item in outcomes) / len(outcomes)


def _runner(bench: Bench, rows: int) -> Runner:
    return Runner(bench.bench.splits.test, bench.bench.references, seed=0, device=bench.device, rows=rows)


def probe(bench: Bench, settings: dict[str, Any]) -> dict[str, Any]:
    """Train what is missing, fix the threshold, and find the machine's peaks."""
    prepared = bench.prepare("puvae-detect")
    threshold = prepared.deployed.threshold
    sizes = {"puvae-detect": bench.rows(prepared), "none": bench.rows(bench.prepare("none"))}
    peaks = {name: convolution_peak(bench.device, name, settings["rows"]) for name in ("float32", "bfloat16")}
    precision = bench.bench.workshop.settings.precision
    return {
        "threshold": threshold,
        "batch_sizes": sizes,
        "peaks": peaks,
        "device": describe(bench.device),
        "precision": precision,
    }


def work(bench: Bench, settings: dict[str, Any]) -> dict[str, Any]:
    """Count the operations of a step on the real defense, per image; a multiply-add counts as two.

    What a search leaves out by keeping to a choice is not counted: the mean of steps with and without a look.
    """
    prepared = bench.prepare("puvae-detect", settings["threshold"])
    images, labels = bench.images(10)
    bound = BoundTarget(prepared.deployed, ImageStreams(range(10), bench.device, "count"))

    def count(choices: Choices) -> float:
        target = bound.keeping(choices)
        with FlopCounterMode(display=False) as counter:
            _cross_entropy(target, images.requires_grad_(True), labels).sum().backward()  # type: ignore[no-untyped-call]
        operations: int = counter.get_total_flops()
        return operations / 10

    choices = Choices(rows=10)
    looking = count(choices)
    keeping = count(Choices(rows=10, kept=choices.made)) if prepared.search.keeps else looking
    looks = math.ceil(settings["steps"] / STEPS_BETWEEN_CHOICES) / settings["steps"]
    return {"operations": looks * looking + (1 - looks) * keeping, "looking": looking, "keeping": keeping}


def _cross_entropy(target: Any, images: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(target.head(images), labels, reduction="none")


def pgd_robench(bench: Bench, settings: dict[str, Any]) -> dict[str, Any]:
    """Attack and judge by robench."""
    prepared = bench.prepare(settings["defense"], settings["threshold"])
    rows = bench.rows(prepared)
    runner = _runner(bench, rows)
    assault = bench.assault(settings["attack"], settings.get("steps"))
    positions, epsilons = range(settings["images"]), tuple(settings["epsilons"])
    found: dict[str, list[ImageOutcome]] = {epsilon: [] for epsilon in epsilons}
    count = max(1, rows // len(epsilons))

    def attack() -> None:
        for start in range(0, len(positions), count):
            part = positions[start : start + count]
            wanted = [epsilons] * len(part)
            for epsilon, outcomes in runner.attack(prepared, assault, part, wanted).by_epsilon(wanted).items():
                found[epsilon] += outcomes

    cost = measure(attack, bench.device)
    return {**asdict(cost), "accuracy": {epsilon: _accuracy(tuple(found[epsilon])) for epsilon in epsilons}}


def worst_robench(bench: Bench, settings: dict[str, Any]) -> dict[str, Any]:
    """The worst case per image by robench."""
    prepared = bench.prepare("none")
    runner = _runner(bench, bench.rows(prepared))
    assault = bench.assault("pgd", settings["steps"], worst_case=True)
    positions = range(settings["images"])
    found: dict[str, tuple[ImageOutcome, ...]] = {}

    def search() -> None:
        found.update(find_worst_case(runner, prepared, [assault], positions, GRID, purpose="worst-case").outcomes)

    cost = measure(search, bench.device)
    return {**asdict(cost), "accuracy": {epsilon: _accuracy(found[epsilon]) for epsilon in GRID}}


def _library(
    bench: Bench, settings: dict[str, Any], attack: Callable[[nn.Module, Tensor, Tensor, float], Tensor]
) -> dict[str, Any]:
    """Attack at every epsilon by a library and have the plain module say what came of it."""
    plain = bench.plain(settings["defense"], settings["threshold"], frozen=settings.get("frozen", True))
    images, labels = bench.images(settings["images"])
    fooled = torch.zeros(len(GRID) + 1, len(images), dtype=torch.bool)
    accuracy: dict[str, float] = {}

    def sweep() -> None:
        for place, epsilon in enumerate(settings["epsilons"]):
            attacked = torch.cat(
                [
                    attack(plain, part, own, float(epsilon))
                    for part, own in zip(
                        torch.split(images, settings["rows"]), torch.split(labels, settings["rows"]), strict=True
                    )
                ]
            )
            if settings.get("union"):
                with torch.no_grad():
                    fooled[place] = (plain(attacked).argmax(1) != labels).cpu()
                accuracy[epsilon] = 1 - float(fooled[: place + 1].any(0).float().mean())
            else:
                accuracy[epsilon] = plain.robust_accuracy(attacked, labels)

    cost = measure(sweep, bench.device)
    return {**asdict(cost), "accuracy": accuracy}


def foolbox(bench: Bench, settings: dict[str, Any]) -> dict[str, Any]:
    """Attack by Foolbox."""
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import foolbox as library

    def attack(plain: nn.Module, images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
        model = library.PyTorchModel(plain, bounds=(0, 1), device=images.device)
        if settings["attack"] == "fgsm":
            method = library.attacks.FGSM()
        else:
            method = library.attacks.LinfPGD(steps=settings["steps"], rel_stepsize=RELATIVE_STEP, random_start=True)
        _, attacked, _ = method(model, images, labels, epsilons=epsilon)
        return attacked  # type: ignore[no-any-return]

    return _library(bench, settings, attack)


def torchattacks(bench: Bench, settings: dict[str, Any]) -> dict[str, Any]:
    """Attack by torchattacks, whose step does not scale with epsilon by itself."""
    import torchattacks as library

    def attack(plain: nn.Module, images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
        method = library.PGD(plain, eps=epsilon, alpha=RELATIVE_STEP * epsilon, steps=settings["steps"])
        return method(images, labels)  # type: ignore[no-any-return]

    return _library(bench, settings, attack)


def art(bench: Bench, settings: dict[str, Any]) -> dict[str, Any]:
    """Attack by the Adversarial Robustness Toolbox."""
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    def attack(plain: nn.Module, images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
        estimator = PyTorchClassifier(
            plain,
            loss=nn.CrossEntropyLoss(),
            input_shape=tuple(images.shape[1:]),
            nb_classes=10 + (settings["threshold"] is not None),
            clip_values=(0, 1),
            device_type="gpu" if images.device.type == "cuda" else "cpu",
        )
        method = ProjectedGradientDescent(
            estimator,
            eps=epsilon,
            eps_step=RELATIVE_STEP * epsilon,
            max_iter=settings["steps"],
            num_random_init=1,
            batch_size=settings["rows"],
            verbose=False,
        )
        return torch.from_numpy(method.generate(images.cpu().numpy(), labels.cpu().numpy())).to(images.device)

    return _library(bench, settings, attack)


def gradient_by_classes(bench: Bench, settings: dict[str, Any]) -> dict[str, Any]:
    """One gradient step through an untrained architecture C of so many classes."""
    from robench.engine.deploy import Deployed, freeze
    from robench.engine.search import search_form
    from robench_plugins.defenses._puvae_networks import architecture_c
    from robench_plugins.defenses._puvae_torch import Purifier

    count, rows = settings["classes"], settings["rows"]
    vae = architecture_c((1, 28, 28), count, 32)
    module = Purifier(vae, bench.classifier, error="pixel", latent_noise=0.1, detect=False)
    deployed = Deployed(
        name="c",
        module=freeze(module, bench.device),
        classifier=bench.classifier,
        classes=10,
        threshold=None,
        stochastic=True,
    )
    images, labels = bench.images(rows)
    precision = bench.bench.workshop.settings.precision
    form = search_form(
        deployed,
        precision,
        images,
        lambda part: ImageStreams(range(part.start, part.stop), bench.device, "compare"),
        print,
    )
    radius = torch.full((rows, 1), 0.1, dtype=torch.float64, device=bench.device)
    streams = ImageStreams(range(rows), bench.device, "classes")
    ascend = GradientAscent(
        form, streams, images, labels, radius, rows=rows, keep="last", confirm=lambda *_: labels[:0]
    )
    ascend(_cross_entropy, steps=2, relative_step=0.1)
    cost = measure(lambda: ascend(_cross_entropy, steps=5, relative_step=0.1), bench.device)
    return {**asdict(cost), "accuracy": {}}


def train_robench(bench: Bench, settings: dict[str, Any]) -> dict[str, Any]:
    """Train classifier A for some steps by robench."""
    import tempfile
    from dataclasses import replace
    from pathlib import Path

    from robench.engine.training import train

    network = bench.bench.classifier.spec.network(bench.bench.workshop.context(bench.bench.classifier))
    network = replace(network, recipe=replace(network.recipe, epochs=1, batch_size=128))
    split = bench.bench.splits.train
    part = replace(split, images=split.images[: settings["images"]], labels=split.labels[: settings["images"]])
    one = replace(split, images=split.images[:1], labels=split.labels[:1])  # the tutorial validates nothing

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            train(network, part, one, seed=0, device=bench.device, checkpoint=Path(folder) / "c", progress=Silent())

    return {**asdict(measure(work, bench.device)), "accuracy": {}}


def train_plain(bench: Bench, settings: dict[str, Any]) -> dict[str, Any]:
    """Train classifier A for as many steps in float32 as a tutorial would."""
    network = bench.bench.classifier.spec.network(bench.bench.workshop.context(bench.bench.classifier))
    split = bench.bench.splits.train
    images = torch.from_numpy(split.images[: settings["images"]]).to(bench.device)
    labels = torch.from_numpy(split.labels[: settings["images"]]).to(bench.device)
    module = network.build().to(bench.device).train()
    optimizer = torch.optim.Adam(module.parameters())

    def work() -> None:
        for part, own in zip(torch.split(images, 128), torch.split(labels, 128), strict=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(part), own).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return {**asdict(measure(work, bench.device)), "accuracy": {}}


TASKS: dict[str, Callable[[Bench, dict[str, Any]], dict[str, Any]]] = {
    "probe": probe,
    "work": work,
    "robench": pgd_robench,
    "worst": worst_robench,
    "foolbox": foolbox,
    "torchattacks": torchattacks,
    "art": art,
    "classes": gradient_by_classes,
    "train-robench": train_robench,
    "train-plain": train_plain,
}

BY_LIBRARIES = ("foolbox", "torchattacks", "art", "train-plain")
"""Tasks in which robench has no part."""
