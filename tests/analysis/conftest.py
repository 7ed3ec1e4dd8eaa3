"""Runs, counted cells and judged images, written as one line each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pytest

from robench.analysis.judged import Judged
from robench.api.records import CLEAN, Cell, CellCounts, Outcome, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class CountsFactory(Protocol):
    def __call__(
        self, defense: str, attack: str, epsilon: str, outcomes: tuple[int, int, int], failure: str = ""
    ) -> CellCounts: ...


class JudgedFactory(Protocol):
    def __call__(
        self,
        ends: str,
        *,
        images: Sequence[int] | None = None,
        score: Sequence[float] | None = None,
        fooled: Sequence[float] | None = None,
    ) -> Judged: ...


_ENDS = {"c": Outcome.CORRECT, "w": Outcome.WRONG, "r": Outcome.REJECTED, "R": Outcome.REJECTED}


@pytest.fixture(scope="session")
def judged() -> JudgedFactory:
    """Make an image of each letter: correct, wrong, rejected, or Rejected and misclassified."""

    def make(
        ends: str,
        *,
        images: Sequence[int] | None = None,
        score: Sequence[float] | None = None,
        fooled: Sequence[float] | None = None,
    ) -> Judged:
        return Judged(
            image=np.arange(len(ends)) if images is None else np.array(images),
            label=np.zeros(len(ends), dtype=np.int64),
            prediction=np.array([int(end in "wR") for end in ends], dtype=np.int64),
            outcome=np.array([_ENDS[end].value for end in ends], dtype=np.str_),
            score=None if score is None else np.array(score, dtype=np.float64),
            fooled=np.array([float(end == "w") for end in ends] if fooled is None else fooled, dtype=np.float64),
        )

    return make


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    def make(images: int = 100, details: str = json.dumps({"data_digest": "ab"})) -> Run:
        return Run(
            id="0123456789ab",
            command="robench run",
            created="2026-01-02T03:04:05Z",
            status="running",
            dataset="mnist",
            classifier="a",
            profile="quick",
            images=images,
            seed=7,
            details=details,
        )

    return make


@pytest.fixture(scope="session")
def make_counts() -> CountsFactory:
    def make(defense: str, attack: str, epsilon: str, outcomes: tuple[int, int, int], failure: str = "") -> CellCounts:
        correct, wrong, rejected = outcomes
        cell = Cell(
            key=f"{defense}/{attack}/{epsilon}",
            dataset="mnist",
            data_digest="",
            classifier="a",
            classifier_digest="",
            defense=defense,
            defense_digest="",
            threshold=None,
            attack=attack,
            knowledge="none" if attack == CLEAN else "naive",
            norm="none" if attack == CLEAN else "linf",
            epsilon=epsilon,
            seed=7,
            device="cpu",
            settings="{}",
            subject="",
            stochastic=False,
            ensemble="",
            member=False,
        )
        n = sum(outcomes)
        return CellCounts(
            cell=cell,
            n=n,
            correct=correct,
            wrong=wrong,
            rejected=rejected,
            fooled=wrong,
            rejected_share=rejected,
            seconds=0.0,
            queries=0,
            failure=failure,
        )

    return make
