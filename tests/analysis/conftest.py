"""Runs and counted cells to summarise, written as one line each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

import pytest

from robench.api.records import CLEAN, Cell, CellCounts, Run

if TYPE_CHECKING:
    from collections.abc import Callable


class CountsFactory(Protocol):
    def __call__(
        self, defense: str, attack: str, epsilon: str, outcomes: tuple[int, int, int], failure: str = ""
    ) -> CellCounts: ...


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
            epsilon=epsilon,
            seed=7,
            device="cpu",
            settings="{}",
        )
        n = sum(outcomes)
        return CellCounts(cell=cell, n=n, correct=correct, wrong=wrong, rejected=rejected, failure=failure)

    return make
