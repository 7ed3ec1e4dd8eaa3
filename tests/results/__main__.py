"""Run the paper's suites for as long as is asked, then write docs/results; repeat to go on while this ends with 75.

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

from robench.config.checks import PROFILES
from robench.config.epsilons import parse_epsilons
from robench.config.staff import EXECUTORS
from robench.errors import UsageError
from tests.results.pages import write_ablations, write_page
from tests.results.plan import ABLATED, DATASETS, FULL, Job, Scale, ablations, jobs

ROOT = Path(__file__).parents[2]
_FAILED, _TIME_IS_UP = 1, 75
_GRACE = 60.0
"""Seconds that a stopped command has to store what it finished."""


def main() -> int:
    """Return 0 when everything asked for is done, 75 if the time was up, 1 if a command failed, so that none helps."""
    options = _options()
    deadline = time.monotonic() + 60 * options.minutes
    statuses = {0}
    for dataset in options.dataset:
        if "paper" in options.part:
            statuses.add(_paper(dataset, options, deadline))
        if "ablations" in options.part and dataset in ABLATED:
            statuses.add(_ablations(dataset, options, deadline))
    return _FAILED if _FAILED in statuses else max(statuses)


def _paper(dataset: str, options: argparse.Namespace, deadline: float) -> int:
    scale = Scale(
        profile=options.profile,
        images=options.images,
        adaptive_images=options.adaptive_images,
        epsilons=options.epsilons,
        data_dir=options.data_dir,
        executor=options.executor,
    )
    db = _store(options, dataset)
    planned = jobs(dataset, scale, db)
    done, status = _carry_out(planned, deadline)
    if len(done) > 1:  # beside training, the paper's attacks at least
        write_page(options.pages, dataset, scale, db, done)
    return status


def _ablations(dataset: str, options: argparse.Namespace, deadline: float) -> int:
    scale = Scale(
        profile=options.ablation_profile,
        images=options.ablation_images,
        adaptive_images=0,
        epsilons="",
        data_dir=options.data_dir,
        executor=options.executor,
    )
    db = _store(options, f"ablations-{dataset}")
    job = ablations(dataset, scale, db)
    done, status = _carry_out([job], deadline)
    if done:
        write_ablations(options.pages, dataset, scale, db, job)
    return status


def _store(options: argparse.Namespace, name: str) -> Path:
    return Path(os.path.relpath(options.work / f"{name}.db"))  # commands are published, folders of a machine are not


def _images(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= FULL:
        message = f"give a number from 1 to {FULL}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _epsilons(text: str) -> str:
    """Return what was given if robench would take it: it does not see it before hours of training."""
    try:
        parse_epsilons(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.results", description=__doc__)
    parser.add_argument("--dataset", action="append", choices=DATASETS, help="default: all three")
    parser.add_argument("--profile", default="paper", choices=PROFILES, help="quick, fast or paper (default)")
    parser.add_argument("--images", type=_images, default=FULL, help="default: the whole test split")
    parser.add_argument("--adaptive-images", type=_images, default=1000, help="default: 1000")
    parser.add_argument("--epsilons", type=_epsilons, default="", help="default: the paper's thirty")
    parser.add_argument("--minutes", type=float, default=1e6, help="stop after so many; the same command goes on")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets, where no mirror can be reached")
    parser.add_argument(
        "--executor", default="local", choices=EXECUTORS, help="who attacks: local (default), processes or ray"
    )
    parser.add_argument(
        "--part", action="append", choices=("paper", "ablations"), help="default: the paper's suites alone"
    )
    parser.add_argument("--ablation-profile", default="fast", choices=PROFILES, help="quick, fast (default) or paper")
    parser.add_argument("--ablation-images", type=_images, default=1000, help="default: 1000")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "results", help="where the stores are kept")
    parser.add_argument("--pages", type=Path, default=ROOT / "docs" / "results", help="where the pages go")
    options = parser.parse_args()
    options.part = options.part or ["paper"]
    if options.part == ["ablations"] and not set(options.dataset or ABLATED) & set(ABLATED):
        parser.error(f"--part ablations: only {' and '.join(ABLATED)} have a suite of ablations")
    options.dataset = options.dataset or DATASETS
    if not options.minutes > 0:  # nor is "nan"
        parser.error("--minutes: give a number above 0")
    for folder in (options.work, options.pages):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"{folder} cannot be made a folder: {error.strerror}; give others with --work and --pages")
    return options


def _carry_out(planned: list[Job], deadline: float) -> tuple[list[Job], int]:
    """Run commands one by one until one fails or the time is up; return those that ended well, and 0, 1 or 75."""
    done: list[Job] = []
    for job in planned:
        seconds = deadline - time.monotonic()
        status = _TIME_IS_UP if seconds <= 0 else _run(job, seconds)
        if status:
            return done, status
        done.append(job)
    return done, 0


def _run(job: Job, seconds: float) -> int:
    sys.stderr.write(f"results: {job.name}\n")
    process = subprocess.Popen([sys.executable, "-m", "robench", *job.arguments], stdout=subprocess.DEVNULL)
    try:
        status = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=_GRACE)
        sys.stderr.write(f"results: {job.name}: the time is up; the same command goes on\n")
        return _TIME_IS_UP
    if status != 0:
        sys.stderr.write(f"results: {job.name}: exit {status}\n")
    return _FAILED if status else 0


if __name__ == "__main__":
    raise SystemExit(main())
