"""Defenses of many stores beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robench.api.records import Card, Metric, Run


@dataclass(frozen=True, kw_only=True)
class NaiveClaim:
    """What an evaluation by attacks that do not know the defense would have claimed at one epsilon.

    Attributes:
        attack: The one that leaves the least.
        accuracy: Robust accuracy in [0, 1], a rejection counting as right.
    """

    attack: str
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One defense as one run evaluated it, with the wins of all runs over the same defense.

    Attributes:
        defense: Name.
        digest: SHA-256 of its weights; empty where the run does not say.
        run: Which.
        sources: Names of the files that brought the run.
        card: Written anew from the outcomes.
        clean: Accuracy on clean images, a rejection being wrong.
        worst: Strict robust accuracy, the worst case of each image, by epsilon.
        naive: By epsilon, where naive attacks were run.
        doubts: Why it is not ranked; empty if it is.
        warnings: Names of diagnostics that warn, of the attacks that know the defense where there are any.
        replay: Command that repeats the run; empty where it does not say.
    """

    defense: str
    digest: str
    run: Run
    sources: tuple[str, ...]
    card: Card
    clean: Metric
    worst: Mapping[str, Metric]
    naive: Mapping[str, NaiveClaim]
    doubts: tuple[str, ...]
    warnings: tuple[str, ...]
    replay: str


@dataclass(frozen=True, kw_only=True)
class Board:
    """What is compared with each other: one data set in balls of one norm.

    Attributes:
        dataset: Name.
        data_digest: SHA-256 of its test split; empty where the runs do not say.
        norm: ``linf`` or ``l2``.
        epsilons: Those that are ranked, decimal texts, ascending.
        entries: All, in no particular order.
    """

    dataset: str
    data_digest: str
    norm: str
    epsilons: tuple[str, ...]
    entries: tuple[Entry, ...]
