"""What does it change that a search keeps to the chosen candidate between looks at all of them?

``python tests/benchmarks/keeping.py --suite paper-mnist --profile fast`` attacks the suite's puvae-detect with PGD,
looking at all candidates in every step, every second and so on. Prints a row of Markdown for each, in the number format
that a run searches in: seconds, robust accuracy (judged by the real defense) with 95 % intervals, and how many outcomes
are other than with a look in every step, beside how many are other if only the random draws are.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from robench.analysis.intervals import wilson
from robench.api.records import Outcome
from robench.cli.progress import TerminalProgress
from robench.config.request import Overrides
from robench.engine import ascent
from robench.engine.memory import keep_freed_memory
from robench.engine.plan import Assault
from robench.engine.runner import Runner
from robench.session import Session
from robench.session.workbench import Workbench


def _bench(options: argparse.Namespace) -> Workbench:
    progress = TerminalProgress(sys.stderr)
    session = Session(environ=os.environ, cwd=Path.cwd(), config=None, progress=progress)
    overrides = Overrides(
        suite=options.suite,
        profile=options.profile,
        defenses=("puvae-detect",),
        attacks=("pgd",),
        device=options.device,
    )
    return Workbench(session.resolve(overrides), session.catalog, progress)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", default="paper-mnist")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--epsilons", default="0.1,0.2,0.3")
    parser.add_argument("--every", default="1,2,3,5,40", help="steps from one look to the next")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    keep_freed_memory()
    bench = _bench(options)
    classifier = bench.workshop.train_classifier(bench.classifier).module
    prepared = bench.workshop.prepare(bench.defenses[0], classifier)
    assault = Assault(offer=bench.attacks[0], form="sweep", keep="last")
    epsilons = tuple(options.epsilons.split(","))
    rows = bench.batch_size_for(prepared)
    images = range(options.images)
    together = max(1, rows // len(epsilons))

    def attack(seed: int) -> tuple[list[Outcome], float]:
        """Return what becomes of each image at each epsilon, and the seconds."""
        runner = Runner(bench.splits.test, bench.references, seed=0, device=bench.device, rows=rows)
        runner._seed = seed  # other draws for the same images
        begun, found = time.perf_counter(), []
        for first in range(0, len(images), together):
            part = images[first : first + together]
            attacked = runner.attack(prepared, assault, part, [epsilons] * len(part))
            found += [one.outcome for own in attacked.outcomes for one in own]
        return found, time.perf_counter() - begun

    sys.stdout.write("| look | seconds | " + " | ".join(f"at {text}" for text in epsilons) + " | other outcomes |\n")
    sys.stdout.write("|---" * (3 + len(epsilons)) + "|\n")
    attack(0)  # the first prepares kernels
    reference: list[Outcome] = []
    for every, seed in [(int(text), 0) for text in options.every.split(",")] + [(1, 1)]:
        ascent.STEPS_BETWEEN_CHOICES = every
        outcomes, seconds = attack(seed)
        reference = reference or outcomes
        shares = []
        for place in range(len(epsilons)):
            robust = sum(one is not Outcome.WRONG for one in outcomes[place :: len(epsilons)])
            low, high = wilson(robust, len(images))
            shares.append(f"{100 * robust / len(images):.1f} [{100 * low:.1f}, {100 * high:.1f}]")
        differ = sum(one is not other for one, other in zip(outcomes, reference, strict=True))
        name = f"every {every}" + (", other draws" if seed else "")
        sys.stdout.write(f"| {name} | {seconds:.1f} | {' | '.join(shares)} | {differ} of {len(outcomes)} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
