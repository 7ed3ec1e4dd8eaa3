"""How much of PuVAE's robustness to the paper's attacks is the confidence of its classifier.

``python -m tests.results.confidence`` takes the PuVAE of the profile ``fast`` and lets BIM and PGD attack it with its
own classifier, with the same one whose logits are multiplied, and with the one of the profile ``paper``, which trains
for 64 epochs at a constant rate. None of this changes what PuVAE reconstructs, and a factor changes no answer. Trains
what is missing.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
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


TRIALS = (
    Trial(profile="fast", factor=1, loss="cross-entropy", objective=unmasked_cross_entropy),
    Trial(profile="fast", factor=2, loss="cross-entropy", objective=unmasked_cross_entropy),
    Trial(profile="fast", factor=3, loss="cross-entropy", objective=unmasked_cross_entropy),
    Trial(profile="fast", factor=3, loss="cross-entropy in float64", objective=exact_cross_entropy),
    Trial(profile="fast", factor=3, loss="margin", objective=raised_margin),
    Trial(profile="paper", factor=1, loss="cross-entropy", objective=unmasked_cross_entropy),
    Trial(profile="paper", factor=1, loss="cross-entropy in float64", objective=exact_cross_entropy),
    Trial(profile="paper", factor=1, loss="margin", objective=raised_margin),
)


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m tests.results.confidence", description=__doc__)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--epsilon", default="0.3")
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    benches = {profile: _workbench(profile, options.data_dir) for profile in ("fast", "paper")}
    classifiers = {
        profile: bench.workshop.train_classifier(bench.classifier).module for profile, bench in benches.items()
    }
    bench = benches["fast"]
    runner = Runner(
        bench.splits.test, bench.references, seed=0, device=bench.device, rows=default_batch_size(bench.device)
    )
    sys.stdout.write("| classifier | logits | loss | margin | clean | BIM | PGD |\n|---|---|---|---|---|---|---|\n")
    for trial in TRIALS:
        prepared = _prepare(bench, classifiers, trial)
        clean = runner.attack(prepared, None, range(options.images), [("0",)] * options.images)
        shares = [_share([one for (one,) in clean.outcomes])]
        for name in ("bim", "pgd"):
            assault = _assault(bench, name, trial)
            ended = runner.attack(prepared, assault, range(options.images), [(options.epsilon,)] * options.images)
            shares.append(_share([one for (one,) in ended.outcomes]))
        cells = [trial.profile, f"x {trial.factor:g}", trial.loss, f"{_sureness(bench, prepared, options.images):.1f}"]
        sys.stdout.write(f"| {' | '.join(cells + [f'{100 * share:.1f} %' for share in shares])} |\n")
        sys.stdout.flush()


def _workbench(profile: str, data_dir: Path | None) -> Workbench:
    progress = TerminalProgress(sys.stderr)
    session = Session(environ=os.environ, cwd=Path.cwd(), config=None, progress=progress)
    overrides = Overrides(
        dataset="mnist",
        defenses=("puvae",),
        attacks=("bim", "pgd"),
        profile=profile,
        search_precision="float32",
        data_dir=data_dir,
    )
    return Workbench(session.resolve(overrides), session.catalog, progress)


def _prepare(bench: Workbench, classifiers: dict[str, nn.Module], trial: Trial) -> Prepared:
    (offer,) = (offer for offer in bench.defenses if offer.spec.name == "puvae")
    purifier = cast("Purifier", bench.workshop.build(offer, classifiers["fast"]))
    classifier = Louder(classifiers[trial.profile], trial.factor).eval()
    purifier.classifier = classifier
    deployed = Deployed(
        name=f"puvae {trial}",
        module=purifier,
        classifier=classifier,
        classes=10,
        threshold=None,
        stochastic=True,
        selecting=True,
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
            steps=offer.parameters.steps,
            relative_step=offer.parameters.relative_step,
            random_start=name == "pgd",
        )

    return Assault(offer=replace(offer, spec=replace(offer.spec, sweep=sweep)), form="sweep")


def _share(outcomes: list[Any]) -> float:
    return sum(one.outcome is Outcome.CORRECT for one in outcomes) / len(outcomes)


def _sureness(bench: Workbench, prepared: Prepared, images: int) -> float:
    """Return the median of the largest logit less the next one, on clean images after purification."""
    picked = image_order(0, len(bench.splits.test))[:images]
    streams = ImageStreams(picked.tolist(), bench.device, "confidence", 0)
    with torch.no_grad():
        chosen = torch.from_numpy(bench.splits.test.images[picked]).to(bench.device)
        top = prepared.deployed.verdict(chosen, streams).logits.topk(2, dim=1).values
    return float((top[:, 0] - top[:, 1]).median())


if __name__ == "__main__":
    main()
