"""Do robench's attacks through libraries do what the libraries do when they are called directly?

Run it where ``make bench`` has installed: ``.venv-bench/bin/python tests/benchmarks/agreement.py --images 50``. Each
attack runs twice against classifier A as robench trains it: by the runner that fills robench's cells, and by the
library's own entry point on the plain module. Prints a row of Markdown for each epsilon: robust accuracy by
both, on how many images they differ, and the seconds of each. Deterministic attacks must differ on no image; random
ones draw other numbers.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import foolbox
import torch
import torchattacks
from pyautoattack import AutoAttack

from robench.api.records import Outcome
from robench.cli.progress import TerminalProgress
from robench.config.request import Overrides
from robench.engine.memory import keep_freed_memory
from robench.engine.plan import choose_form
from robench.engine.runner import Runner
from robench.engine.seeding import image_order
from robench.session import Session
from robench.session.workbench import Workbench

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from robench.api import Norm

_FULL = {"linf": "Linf", "l2": "L2"}
_BATCH = 100


@dataclass(frozen=True, kw_only=True)
class Contest:
    """One attack by both.

    Attributes:
        attack: Its name.
        norm: Of the balls.
        epsilons: Radii, decimal texts.
        direct: ``direct(module, images, labels, epsilon)`` calls the library.
        minimal: Whether the library looks for the closest image and is called once, with an epsilon of 0.
        settings: Parameters of robench's attack that differ from its defaults.
    """

    attack: str
    norm: Norm
    epsilons: tuple[str, ...]
    direct: Callable[[nn.Module, Tensor, Tensor, float], Tensor]
    minimal: bool = False
    settings: Mapping[str, int | float] = field(default_factory=dict)


def _by_foolbox(attack: Any, **more: Any) -> Callable[[nn.Module, Tensor, Tensor, float], Tensor]:
    def call(module: nn.Module, images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
        model = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
        wanted = None if isinstance(attack, foolbox.attacks.base.MinimizationAttack) else epsilon
        _, clipped, _ = attack(model, images, labels, epsilons=wanted, **more)
        return clipped  # type: ignore[no-any-return]

    return call


def _by_walk(attack: Any) -> Callable[[nn.Module, Tensor, Tensor, float], Tensor]:
    """Start at the closest of the images that is answered as another class: Foolbox's own start fails for some."""

    def call(module: nn.Module, images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
        with torch.no_grad():
            answers = module(images).argmax(1)
        distance = torch.cdist(images.flatten(1), images.flatten(1))
        closest = distance.masked_fill(answers[None] == labels[:, None], torch.inf).argmin(1)
        return _by_foolbox(attack, starting_points=images[closest])(module, images, labels, epsilon)

    return call


def _by_torchattacks(make: Any, norm: Norm, **settings: Any) -> Callable[[nn.Module, Tensor, Tensor, float], Tensor]:
    def call(module: nn.Module, images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
        attack = make(module, norm=_FULL[norm], eps=epsilon, **settings)
        return attack(images, labels)  # type: ignore[no-any-return]

    return call


def _by_autoattack(norm: Norm) -> Callable[[nn.Module, Tensor, Tensor, float], Tensor]:
    def call(module: nn.Module, images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
        attack = AutoAttack(module, norm=_FULL[norm], eps=epsilon, seed=0, version="standard")
        found = attack.run_standard_evaluation(images, labels, batch_size=100)
        return found[0]  # type: ignore[no-any-return]

    return call


RADII: dict[Norm, tuple[str, ...]] = {"linf": ("0.05", "0.1"), "l2": ("0.5", "1")}


def _contests() -> list[Contest]:
    """Return all of them; those whose budget would take hours run with a smaller one, the same for both."""
    return [
        *(contest for norm in RADII for contest in (*_quick(norm), *_slow(norm))),
        *_in_l2(RADII["l2"]),
        Contest(attack="autoattack", norm="linf", epsilons=("0.1", "0.3"), direct=_by_autoattack("linf")),
        Contest(attack="autoattack", norm="l2", epsilons=("1",), direct=_by_autoattack("l2")),
    ]


def _quick(norm: Norm) -> list[Contest]:
    linf, epsilons = norm == "linf", RADII[norm]
    deepfool = foolbox.attacks.LinfDeepFoolAttack() if linf else foolbox.attacks.L2DeepFoolAttack()
    clipped = foolbox.attacks.L2ClippingAwareRepeatedAdditiveUniformNoiseAttack
    noise = foolbox.attacks.LinfRepeatedAdditiveUniformNoiseAttack() if linf else clipped()
    apgd = _by_torchattacks(torchattacks.APGD, norm, steps=100)
    return [
        Contest(attack="deepfool", norm=norm, epsilons=epsilons, direct=_by_foolbox(deepfool), minimal=True),
        Contest(attack="uniform-noise", norm=norm, epsilons=epsilons, direct=_by_foolbox(noise)),
        Contest(attack="apgd", norm=norm, epsilons=epsilons, direct=apgd),
    ]


def _slow(norm: Norm) -> list[Contest]:
    largest = RADII[norm][-1:]
    targeted = _by_torchattacks(torchattacks.APGDT, norm, steps=100)
    fab = _by_torchattacks(torchattacks.FAB, norm, steps=30, multi_targeted=True)
    square = _by_torchattacks(torchattacks.Square, norm, n_queries=1000, resc_schedule=False)
    jump = foolbox.attacks.HopSkipJumpAttack(steps=5, max_gradient_eval_steps=200, constraint=norm)
    walk = {"steps": 5, "first_evaluations": 100, "evaluations": 200}
    return [
        Contest(attack="apgd-t", norm=norm, epsilons=largest, direct=targeted),
        Contest(attack="fab", norm=norm, epsilons=largest, direct=fab, settings={"steps": 30}),
        Contest(attack="square", norm=norm, epsilons=largest, direct=square, settings={"queries": 1000}),
        Contest(
            attack="hopskipjump",
            norm=norm,
            epsilons=RADII[norm],
            direct=_by_walk(jump),
            minimal=True,
            settings=walk,
        ),
    ]


def _in_l2(epsilons: tuple[str, ...]) -> list[Contest]:
    carlini = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=6, steps=200, initial_const=0.1, abort_early=False
    )
    brief = {"steps": 200, "searches": 6, "initial_weight": 0.1}
    boundary = _by_walk(foolbox.attacks.BoundaryAttack(steps=1000))
    gaussian = _by_foolbox(foolbox.attacks.L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack())
    return [
        Contest(attack="gaussian-noise", norm="l2", epsilons=epsilons, direct=gaussian),
        Contest(attack="cw", norm="l2", epsilons=epsilons, direct=_by_foolbox(carlini), minimal=True, settings=brief),
        Contest(
            attack="boundary", norm="l2", epsilons=epsilons, direct=boundary, minimal=True, settings={"steps": 1000}
        ),
    ]


def _workbench(folder: Path, contest: Contest, images: int) -> Workbench:
    """Return what ``robench run`` would work on, its attack set as the contest wants."""
    lines = ["schema = 1", f"[parameters.{contest.attack}]"] if contest.settings else ["schema = 1"]
    lines += [f"{name} = {value}" for name, value in contest.settings.items()]
    config = folder / "benchmarks.toml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    progress = TerminalProgress(sys.stderr)
    session = Session(environ=os.environ, cwd=folder, config=config, progress=progress)
    overrides = Overrides(
        dataset="mnist",
        classifier="paper-a",
        defenses=("none",),
        attacks=(contest.attack,),
        epsilons=",".join(contest.epsilons),
        images=images,
        device="cpu",
        profile="quick",
        norm=contest.norm,
    )
    return Workbench(session.resolve(overrides), session.catalog, progress)


def _ours(bench: Workbench, contest: Contest, module: nn.Module, images: int) -> tuple[dict[str, Tensor], float]:
    """Return who withstands, shape (N,), bool, by epsilon, and the seconds: what a run's cells hold."""
    prepared = bench.workshop.prepare(bench.defenses[0], module)
    assault = choose_form(bench.attacks[0], "native")
    runner = Runner(bench.splits.test, bench.references, seed=0, device=bench.device, rows=_BATCH, norm=contest.norm)
    begun = time.perf_counter()
    found: dict[str, list[bool]] = {text: [] for text in contest.epsilons}
    for first in range(0, images, _BATCH):
        part = range(first, min(images, first + _BATCH))
        wanted = [contest.epsilons] * len(part)
        for text, outcomes in runner.attack(prepared, assault, part, wanted).by_epsilon(wanted).items():
            found[text] += [item.outcome is not Outcome.WRONG for item in outcomes]
    seconds = time.perf_counter() - begun
    return {text: torch.tensor(own) for text, own in found.items()}, seconds


def _theirs(module: nn.Module, images: Tensor, labels: Tensor, contest: Contest) -> tuple[dict[str, Tensor], float]:
    """Return the same by the library."""
    found = {}
    begun = time.perf_counter()
    attacked = contest.direct(module, images, labels, 0.0) if contest.minimal else images
    for text in contest.epsilons:
        epsilon = float(text)
        if not contest.minimal:
            attacked = contest.direct(module, images, labels, epsilon)
        change = (attacked - images).flatten(1).double()
        distance = change.norm(dim=1, p=torch.inf if contest.norm == "linf" else 2)
        with torch.no_grad():
            before, after = (module(each).argmax(1) != labels for each in (images, attacked))
        found[text] = ~(before | (after & (distance <= epsilon + 1e-5)))
    return found, time.perf_counter() - begun


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--only", nargs="*", help="names of attacks")
    parser.add_argument("--norm", choices=list(_FULL))
    parser.add_argument("--epsilon", help="decimal text, instead of the usual ones")
    options = parser.parse_args()
    keep_freed_memory()
    sys.stdout.write(
        "| attack | norm | epsilon | settings | images | library | robench | differ | seconds, library / robench |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    contests = [
        replace(one, epsilons=(options.epsilon,)) if options.epsilon else one
        for one in _contests()
        if (not options.only or one.attack in options.only) and options.norm in (None, one.norm)
    ]
    for contest in contests:
        with tempfile.TemporaryDirectory() as name:
            bench = _workbench(Path(name), contest, options.images)
        module = bench.workshop.train_classifier(bench.classifier).module
        rows = image_order(0, len(bench.splits.test))[: options.images]
        images, labels = (torch.from_numpy(part[rows]) for part in (bench.splits.test.images, bench.splits.test.labels))
        theirs, library_seconds = _theirs(module, images, labels, contest)
        ours, seconds = _ours(bench, contest, module, options.images)
        settings = ", ".join(f"{key} {value}" for key, value in contest.settings.items()) or "defaults"
        for text in contest.epsilons:
            shares = (100 * float(part[text].float().mean()) for part in (theirs, ours))
            differ = int((theirs[text] != ours[text]).sum())
            cells = [contest.attack, contest.norm, text, settings, str(options.images)]
            cells += [*(f"{share:.1f} %" for share in shares), str(differ), f"{library_seconds:.0f} / {seconds:.0f}"]
            sys.stdout.write("| " + " | ".join(cells) + " |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
