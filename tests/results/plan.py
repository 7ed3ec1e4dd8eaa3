"""What is run for a page of docs/results: commands of robench, each of which resumes where it was stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

DATASETS = ("mnist", "fashion-mnist", "cifar10")
ABLATED = ("mnist", "cifar10")
"""Data sets with a suite of ablations."""
FULL = 10_000
_NAIVE = ("fgsm", "bim", "pgd")
_FOUR = {"mnist": "0.05,0.1,0.2,0.3", "fashion-mnist": "0.05,0.1,0.2,0.3", "cifar10": "0.01,0.02,0.04,0.06"}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of a paper's suite is run.

    Attributes:
        profile: Of the training.
        images: Under the paper's attacks.
        adaptive_images: Under attacks that know the defense.
        epsilons: Of the sweep, as ``--epsilons`` takes them; empty for the suite's thirty.
        data_dir: Where the data sets are; None to obtain them.
        executor: Of runs.
    """

    profile: str
    images: int
    adaptive_images: int
    epsilons: str
    data_dir: Path | None
    executor: str = "local"

    @property
    def where(self) -> tuple[str, ...]:
        """Options of robench that say where the data sets are."""
        return () if self.data_dir is None else ("--data-dir", str(self.data_dir))

    @property
    def reduced(self) -> str:
        """What is less than the paper did, in words; empty if nothing is."""
        parts = [f"profile {self.profile}"] if self.profile != "paper" else []
        parts += [f"{self.images:,} images"] if self.images < FULL else []
        parts += [f"epsilons {self.epsilons}"] if self.epsilons else []
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One command.

    Attributes:
        name: What the log calls it.
        arguments: Of robench.
    """

    name: str
    arguments: tuple[str, ...]


def jobs(dataset: str, scale: Scale, db: Path) -> list[Job]:
    """Return the commands for a data set, in order: training, the paper's attacks, those that know the defense.

    Args:
        dataset: Name.
        scale: How much.
        db: The store.
    """
    suite = ("--suite", f"paper-{dataset}", "--profile", scale.profile, *scale.where)
    sweep = ("--epsilons", scale.epsilons) if scale.epsilons else ()
    store = ("--executor", scale.executor, "--db", str(db))
    naive = tuple(word for attack in _NAIVE for word in ("--attack", attack))
    return [
        Job(name=f"{dataset}: training", arguments=("train", *suite)),
        Job(
            name=f"{dataset}: the paper's attacks",
            arguments=("run", *suite, *naive, *sweep, "--images", str(scale.images), *store),
        ),
        Job(
            name=f"{dataset}: attacks that know the defense",
            arguments=(
                *("run", *suite, *naive, "--attack", "adaptive", "--epsilons", _FOUR[dataset]),
                *("--images", str(scale.adaptive_images), "--keep-examples", *store),
            ),
        ),
    ]


def ablations(dataset: str, scale: Scale, db: Path) -> Job:
    """Return the command that runs every variant of a suite of ablations.

    Args:
        dataset: One of ``ABLATED``.
        scale: How much; its epsilons are the suite's.
        db: The store.
    """
    suite = ("--suite", f"ablations-{dataset}", "--profile", scale.profile, "--images", str(scale.images))
    return Job(
        name=f"{dataset}: ablations",
        arguments=("run", *suite, *scale.where, "--executor", scale.executor, "--db", str(db)),
    )
