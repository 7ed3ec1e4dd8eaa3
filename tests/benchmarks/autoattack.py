"""Is the ensemble as strong as AutoAttack where AutoAttack applies, on classifiers without a defense?

Run it where ``make bench`` has installed: ``.venv-bench/bin/python tests/benchmarks/autoattack.py --images 100``. It
takes classifier A as robench trains it, and the same trained on adversarial examples, and prints the worst case per
image of robench's budgets quick and standard beside that of AutoAttack's standard version, each with its seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parent))

from bench_models import Bench
from pyautoattack import AutoAttack

from robench.api.records import Outcome
from robench.cli.progress import TerminalProgress
from robench.config.checks import EFFORTS
from robench.config.parameters import build_parameters
from robench.engine.deploy import freeze
from robench.engine.ensemble import find_worst_case
from robench.engine.memory import keep_freed_memory
from robench.engine.plan import Assault
from robench.engine.prepare import Offer, Prepared
from robench.engine.runner import Runner

if TYPE_CHECKING:
    from robench.api import Effort

_BATCH = 128


def train_adversarially(bench: Bench, epsilon: float, steps: int) -> nn.Module:
    """Train classifier A on the iterates of a three-step attack: Madry et al. (2018), section 2, in small."""
    workshop = bench.bench.workshop
    spec = bench.bench.classifier.spec
    torch.manual_seed(0)
    module: nn.Module = (
        spec.network(workshop.context(bench.bench.classifier)).build().to(memory_format=torch.channels_last)
    )
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-3)
    train = bench.bench.splits.train
    for step in range(steps):
        rows = torch.randint(len(train.images), (_BATCH,)).numpy()
        images, labels = torch.from_numpy(train.images[rows]), torch.from_numpy(train.labels[rows])
        module.eval()
        moved = (images + epsilon * (2 * torch.rand_like(images) - 1)).clamp(0, 1)
        for _ in range(3):
            moved.requires_grad_(True)
            (gradient,) = torch.autograd.grad(functional.cross_entropy(module(moved), labels), moved)
            moved = moved.detach() + epsilon / 2 * gradient.sign()
            moved = (images + (moved - images).clamp(-epsilon, epsilon)).clamp(0, 1)
        module.train()
        optimiser.zero_grad()
        functional.cross_entropy(module(moved), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 50 == 0:
            sys.stderr.write(f"adversarial training: {step} of {steps} steps\n")
    return freeze(module, torch.device("cpu"))


def ensemble(bench: Bench, prepared: Prepared, budget: Effort, images: int, epsilon: str) -> tuple[float, float]:
    """Return the worst case per image of robench's ensemble, and the seconds that it took."""
    members = []
    for entry in bench.catalog.attacks.values():
        spec = entry.spec
        fits = spec.effort in EFFORTS[: EFFORTS.index(budget) + 1] and spec.goal == "wrong" and spec.suits is None
        if fits:
            parameters = build_parameters(spec.parameters, dict(spec.presets.get(budget, {})), spec.name)
            offer = Offer(spec=spec, parameters=parameters, settings={}, origin={})
            members.append(Assault(offer=offer, form="plain" if spec.sweep is None else "sweep", keep="first-win"))
    members.sort(key=lambda assault: assault.offer.spec.cost)
    runner = Runner(bench.bench.splits.test, bench.bench.references, seed=0, device=bench.device, rows=100)
    begun = time.perf_counter()
    found = find_worst_case(runner, prepared, members, range(images), [epsilon], purpose="adaptive")
    outcomes = found.outcomes[epsilon]
    return sum(one.outcome is not Outcome.WRONG for one in outcomes) / images, time.perf_counter() - begun


def autoattack(module: nn.Module, images: Tensor, labels: Tensor, epsilon: float) -> tuple[float, float]:
    """Return the same of AutoAttack's standard version."""
    begun = time.perf_counter()
    attack = AutoAttack(module, eps=epsilon, seed=0, version="standard")
    found = attack.run_standard_evaluation(images, labels, batch_size=100)
    found = found[0] if isinstance(found, tuple) else found
    with torch.no_grad():
        robust = float((module(found).argmax(1) == labels).float().mean())
    return robust, time.perf_counter() - begun


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--epsilon", default="0.1")
    parser.add_argument("--steps", type=int, default=400, help="of adversarial training")
    options = parser.parse_args()
    keep_freed_memory()
    bench = Bench("cpu", TerminalProgress(sys.stderr))
    images, labels = bench.images(options.images)
    prepared = bench.prepare("none")
    hardened = train_adversarially(bench, float(options.epsilon), options.steps)
    results: dict[str, dict[str, object]] = {}
    for name, module in (("undefended", bench.classifier), ("adversarially trained", hardened)):
        subject = prepared
        if module is hardened:
            deployed = replace(prepared.deployed, module=_Verdicts(module), classifier=module)
            search = bench.bench.workshop.search_form(deployed, bench.bench.workshop.settings.precision)
            subject = replace(prepared, deployed=deployed, search=search)
        own = {budget: ensemble(bench, subject, budget, options.images, options.epsilon) for budget in EFFORTS[:2]}
        theirs = autoattack(module, images, labels, float(options.epsilon))
        results[name] = {**{f"robench {key}": value for key, value in own.items()}, "autoattack": theirs}
        sys.stdout.write(json.dumps({name: results[name], "n": options.images, "epsilon": options.epsilon}) + "\n")
        sys.stdout.flush()


class _Verdicts(nn.Module):
    """A classifier as a defense that is none."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> object:
        from robench.api import Verdict

        return Verdict(logits=self.classifier(images))


if __name__ == "__main__":
    main()
