"""Run the paper's suites for as long as is asked, then write docs/results; repeat to go on.

Everything resumes: trainings from their checkpoints, runs from the store.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.results.pages import write_page
from tests.results.plan import DATASETS, FULL, Job, Scale, jobs

ROOT = Path(__file__).parents[2]
_GRACE = 60.0
"""Seconds that a stopped command has to store what it finished."""


def main() -> int:
    """Return 0 when everything asked for is done, 75 if more is left."""
    options = _options()
    deadline = time.monotonic() + 60 * options.minutes
    scale = Scale(
        profile=options.profile,
        images=options.images,
        adaptive_images=options.adaptive_images,
        epsilons=options.epsilons,
        data_dir=options.data_dir,
        executor=options.executor,
    )
    for folder in (options.work, options.pages):
        folder.mkdir(parents=True, exist_ok=True)
    left = False
    for dataset in options.dataset or DATASETS:
        db = Path(
            os.path.relpath(options.work / f"{dataset}.db")
        )  # commands are published, folders of a machine are not
        planned = jobs(dataset, scale, db, ablations=options.ablations)
        done = _carry_out(planned, deadline)
        left |= len(done) < len(planned)
        if len(done) > 1:  # beside training, the paper's attacks at least
            write_page(options.pages, dataset, scale, db, done)
    return 75 if left else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.results", description=__doc__)
    parser.add_argument("--dataset", action="append", choices=DATASETS, help="default: all three")
    parser.add_argument("--profile", default="paper", help="quick, fast or paper (default)")
    parser.add_argument("--images", type=int, default=FULL, help="default: the whole test split")
    parser.add_argument("--adaptive-images", type=int, default=1000, help="default: 1000")
    parser.add_argument("--epsilons", default="", help="default: the paper's thirty")
    parser.add_argument("--minutes", type=float, default=1e6, help="stop after so many; the same command goes on")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets, where no mirror can be reached")
    parser.add_argument("--executor", default="local", help="who attacks: local (default), processes or ray")
    parser.add_argument("--ablations", action="store_true", help="run the suites of ablations as well")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "results", help="where the stores are kept")
    parser.add_argument("--pages", type=Path, default=ROOT / "docs" / "results", help="where the pages go")
    return parser.parse_args()


def _carry_out(planned: list[Job], deadline: float) -> list[Job]:
    """Run commands one by one until one fails or the time is up; return those that ended well."""
    done = []
    for job in planned:
        seconds = deadline - time.monotonic()
        if seconds <= 0 or not _succeeds(job, seconds):
            break
        done.append(job)
    return done


def _succeeds(job: Job, seconds: float) -> bool:
    sys.stderr.write(f"results: {job.name}\n")
    process = subprocess.Popen([sys.executable, "-m", "robench", *job.arguments], stdout=subprocess.DEVNULL)
    try:
        status = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=_GRACE)
        sys.stderr.write(f"results: {job.name}: the time is up; the same command goes on\n")
        return False
    if status != 0:
        sys.stderr.write(f"results: {job.name}: exit {status}\n")
    return status == 0


if __name__ == "__main__":
    raise SystemExit(main())
