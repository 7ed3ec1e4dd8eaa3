"""How much of the robustness to the paper's attacks is the confidence of the classifier.

``python -m tests.results.confidence`` takes the PuVAE of the profile ``fast`` and attacks it as the paper does: with
its own classifier, with the same one whose logits are multiplied, and with the one of the profile ``paper``, which
trains for 64 epochs at a constant rate. None of this changes what PuVAE reconstructs, and a factor changes no answer.
Trains what is missing. ``--dataset fashion-mnist --defense none --profiles fast --factors 1,2,4,6`` attacks the bare
classifier; ``--checkpoint FILE`` takes that of the profile ``paper`` as its training has left it.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from robench.api.records import Outcome
from robench.cli.progress import TerminalProgress
from robench.config.request import Overrides
from robench.engine.deploy import Deployed
from robench.engine.plan import Assault
from robench.engine.prepare import Prepared
from robench.engine.runner import Runner, default_batch_size
from robench.engine.seeding import ImageStreams, image_order
from robench.session import Session
from robench.session.workbench import Workbench
from robench_plugins.attacks._gradient_torch import unmasked_cross_entropy
from robench_plugins.attacks._losses_torch import margin

if TYPE_CHECKING:
    from collections.abc import Callable

    from robench.api import SweepContext, Target
    from robench_plugins.defenses._puvae_torch import Purifier


_WEIGHTS = "model."
"""Beginning of the names of a network's weights in a checkpoint."""
_ATTACKS = ("fgsm", "bim", "pgd")


class Louder(nn.Module):
    """A classifier whose logits are multiplied: the same answers, more or less sure of themselves."""

    def __init__(self, classifier: nn.Module, factor: float) -> None:
        super().__init__()
        self.classifier, self.factor = classifier, factor

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (N, K)."""
        return cast("Tensor", self.classifier(images)) * self.factor


def exact_cross_entropy(target: Target, images: Tensor, labels: Tensor) -> Tensor:
    """What the paper's attacks raise, shape (M,), in float64: one minus a probability does not become zero."""
    return functional.cross_entropy(target.verdict(images).logits.double(), labels, reduction="none")


def raised_margin(target: Target, images: Tensor, labels: Tensor) -> Tensor:
    """The margin, shape (M,): multiplying logits does not change its direction."""
    return margin(target.verdict(images).logits, labels)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One line of the table."""

    profile: str
    factor: float
    loss: str
    objective: Callable[[Target, Tensor, Tensor], Tensor]


def trials(profiles: list[str], factors: list[float]) -> list[Trial]:
    """Return the lines of the table: louder and louder, then the loudest under other losses."""
    found = []
    for profile in profiles:
        own = factors if profile == "fast" else [1.0]
        found += [
            Trial(profile=profile, factor=factor, loss="cross-entropy", objective=unmasked_cross_entropy)
            for factor in own
        ]
        found += [
            Trial(profile=profile, factor=own[-1], loss="cross-entropy in float64", objective=exact_cross_entropy),
            Trial(profile=profile, factor=own[-1], loss="margin", objective=raised_margin),
        ]
    return found


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m tests.results.confidence", description=__doc__)
    parser.add_argument("--dataset", choices=("mnist", "fashion-mnist"), default="mnist")
    parser.add_argument("--defense", choices=("puvae", "none"), default="puvae")
    parser.add_argument("--profiles", choices=("fast", "fast,paper"), default="fast,paper", help="of the classifier")
    parser.add_argument("--factors", default="1,2,3", help="of the logits of the classifier of the profile fast")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--epsilon", default="0.3")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--checkpoint", type=Path, help="of the profile paper's training, if it is not to be finished")
    options = parser.parse_args()
    profiles = options.profiles.split(",")
    benches = {profile: _workbench(options, profile) for profile in profiles}
    classifiers = {
        profile: _unfinished(bench, options.checkpoint)
        if profile == "paper" and options.checkpoint
        else bench.workshop.train_classifier(bench.classifier).module
        for profile, bench in benches.items()
    }
    bench = benches["fast"]
    runner = Runner(
        bench.splits.test, bench.references, seed=0, device=bench.device, rows=default_batch_size(bench.device)
    )
    sys.stdout.write(
        "| classifier | logits | loss | margin | clean | FGSM | BIM | PGD |\n|---|---|---|---|---|---|---|---|\n"
    )
    for trial in trials(profiles, [float(text) for text in options.factors.split(",")]):
        prepared = _prepare(bench, classifiers, trial)
        clean = runner.attack(prepared, None, range(options.images), [("0",)] * options.images)
        shares = [_share([one for (one,) in clean.outcomes])]
        for name in _ATTACKS:
            assault = _assault(bench, name, trial)
            ended = runner.attack(prepared, assault, range(options.images), [(options.epsilon,)] * options.images)
            shares.append(_share([one for (one,) in ended.outcomes]))
        cells = [trial.profile, f"x {trial.factor:g}", trial.loss, f"{_sureness(bench, prepared, options.images):.1f}"]
        sys.stdout.write(f"| {' | '.join(cells + [f'{100 * share:.1f} %' for share in shares])} |\n")
        sys.stdout.flush()


def _workbench(options: argparse.Namespace, profile: str) -> Workbench:
    progress = TerminalProgress(sys.stderr)
    session = Session(environ=os.environ, cwd=Path.cwd(), config=None, progress=progress)
    overrides = Overrides(
        dataset=options.dataset,
        classifier="paper-a",
        defenses=(options.defense,),
        attacks=_ATTACKS,
        profile=profile,
        search_precision="float32",
        data_dir=options.data_dir,
    )
    return Workbench(session.resolve(overrides), session.catalog, progress)


def _unfinished(bench: Workbench, checkpoint: Path) -> nn.Module:
    """Return the classifier as a training that was stopped has left it."""
    module: nn.Module = bench.classifier.spec.network(bench.workshop.context(bench.classifier)).build()
    weights = {name: tensor for name, tensor in load_file(checkpoint).items() if name.startswith(_WEIGHTS)}
    module.load_state_dict({name.removeprefix(_WEIGHTS): tensor.float() for name, tensor in weights.items()})
    return module.eval().requires_grad_(False)


def _prepare(bench: Workbench, classifiers: dict[str, nn.Module], trial: Trial) -> Prepared:
    (offer,) = bench.defenses
    classifier = Louder(classifiers[trial.profile], trial.factor).eval()
    module = bench.workshop.build(offer, classifiers["fast"] if offer.spec.selecting else classifier)
    if offer.spec.selecting:  # PuVAE as it was trained, with another classifier behind it
        cast("Purifier", module).classifier = classifier
    deployed = Deployed(
        name=f"{offer.spec.name} {trial}",
        module=module,
        classifier=classifier,
        classes=10,
        threshold=None,
        stochastic=offer.spec.stochastic,
        selecting=offer.spec.selecting,
    )
    return Prepared(
        deployed=deployed,
        search=bench.workshop.search_form(deployed, "float32"),
        digest=str(trial),
        rule=None,
        false_positive_rate=None,
        validation_images=0,
    )


def _assault(bench: Workbench, name: str, trial: Trial) -> Assault:
    """Return an attack of the paper that raises another loss."""
    (offer,) = (offer for offer in bench.attacks if offer.spec.name == name)

    def sweep(context: SweepContext[Any]) -> Tensor:
        return context.ascend(
            trial.objective,
            steps=getattr(offer.parameters, "steps", 1),
            relative_step=getattr(offer.parameters, "relative_step", 1.0),
            random_start=name == "pgd",
        )

    return Assault(offer=replace(offer, spec=replace(offer.spec, sweep=sweep)), form="sweep")


def _share(outcomes: list[Any]) -> float:
    return sum(one.outcome is Outcome.CORRECT for one in outcomes) / len(outcomes)


def _sureness(bench: Workbench, prepared: Prepared, images: int) -> float:
    """Return the median of the largest logit less the next one, on clean images, after purification if there is any."""
    picked = image_order(0, len(bench.splits.test))[:images]
    streams = ImageStreams(picked.tolist(), bench.device, "confidence", 0)
    with torch.no_grad():
        chosen = torch.from_numpy(bench.splits.test.images[picked]).to(bench.device)
        top = prepared.deployed.verdict(chosen, streams).logits.topk(2, dim=1).values
    return float((top[:, 0] - top[:, 1]).median())


if __name__ == "__main__":
    main()
