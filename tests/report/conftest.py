"""Summaries to render, built from as little as a test wants to say."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

import pytest
from rich.console import Console

from robench.api.records import CLEAN, CleanRow, FailureRow, ResultRow, Run, RunSummary, WorstRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Outcomes = tuple[int, int, int]
"""Correct, wrong, rejected."""


class SummaryFactory(Protocol):
    def __call__(
        self,
        results: Mapping[tuple[str, str, str], Outcomes],
        *,
        clean: Mapping[str, Outcomes] | None = None,
        images: int = 500,
        complete: bool = True,
        failures: Sequence[FailureRow] = (),
        details: Mapping[str, object] | None = None,
        knowledge: str = "naive",
    ) -> RunSummary: ...


class ConsoleFactory(Protocol):
    def __call__(self, width: int | None = None) -> tuple[Console, io.StringIO]: ...


DETAILS = {
    "data_digest": "0123456789abcdef" * 4,
    "classifier_digest": "fedcba9876543210" * 4,
    "defenses": {
        "none": {"digest": "1" * 64, "threshold": None},
        "magnet": {
            "digest": "2" * 64,
            "threshold": 0.0123456,
            "threshold_rule": "certified",
            "false_positive_rate_validation": 0.00083,
            "validation_images": 6000,
        },
    },
    "environment": {"python": "3.11.7", "torch": "2.10.0"},
}


def _result(defense: str, attack: str, epsilon: str, outcomes: Outcomes, knowledge: str) -> ResultRow:
    correct, wrong, rejected = outcomes
    n = sum(outcomes)
    share = (correct + rejected) / n
    return ResultRow(
        defense=defense,
        attack=attack,
        knowledge=knowledge,
        norm="linf",
        epsilon=epsilon,
        n=n,
        accuracy=share,
        accuracy_low=max(0.0, share - 0.02),
        accuracy_high=min(1.0, share + 0.02),
        correct=correct,
        wrong=wrong,
        rejected=rejected,
    )


def _clean(defense: str, outcomes: Outcomes) -> CleanRow:
    correct, wrong, rejected = outcomes
    n = sum(outcomes)
    share = correct / n
    return CleanRow(
        defense=defense,
        n=n,
        accuracy=share,
        accuracy_low=max(0.0, share - 0.01),
        accuracy_high=min(1.0, share + 0.01),
        correct=correct,
        wrong=wrong,
        rejected=rejected,
    )


def _worst(rows: Sequence[ResultRow]) -> WorstRow:
    row = min(rows, key=lambda row: row.accuracy)
    return WorstRow(
        defense=row.defense,
        attack=row.attack,
        knowledge=row.knowledge,
        norm=row.norm,
        worst_case_epsilon=row.epsilon,
        n=row.n,
        accuracy=row.accuracy,
        accuracy_low=row.accuracy_low,
        accuracy_high=row.accuracy_high,
        rejected=row.rejected,
    )


@pytest.fixture(scope="session")
def make_summary() -> SummaryFactory:
    def make(
        results: Mapping[tuple[str, str, str], Outcomes],
        *,
        clean: Mapping[str, Outcomes] | None = None,
        images: int = 500,
        complete: bool = True,
        failures: Sequence[FailureRow] = (),
        details: Mapping[str, object] | None = None,
        knowledge: str = "naive",
    ) -> RunSummary:
        clean = clean or {}
        rows = [_result(*key, outcomes, knowledge) for key, outcomes in results.items()]
        sweeps = dict.fromkeys((row.defense, row.attack) for row in rows)
        names = [*clean, *(row.defense for row in rows), *(row.defense for row in failures)]
        tried = [*results, *((row.defense, row.attack, row.epsilon) for row in failures)]
        sweeps_of_all = [(name, attack, epsilon) for name in names for _, attack, epsilon in tried if attack != CLEAN]
        cells = [*((name, CLEAN, "0") for name in dict.fromkeys(names)), *dict.fromkeys(sweeps_of_all)]
        run = Run(
            id="0123456789ab",
            command="robench run",
            created="2026-01-02T03:04:05Z",
            status="complete" if complete else "interrupted",
            dataset="mnist",
            classifier="a",
            profile="quick",
            images=images,
            seed=7,
            details="{}",
        )
        return RunSummary(
            run=run,
            complete=complete,
            planned=images * len(cells),
            norm="linf",
            defenses=tuple(dict.fromkeys(names)),
            attacks=tuple(dict.fromkeys(attack for _, attack, _ in cells if attack != CLEAN)),
            clean=tuple(_clean(*item) for item in clean.items()),
            results=tuple(rows),
            worst=tuple(_worst([row for row in rows if (row.defense, row.attack) == sweep]) for sweep in sweeps),
            failures=tuple(failures),
            details=details or {},
        )

    return make


@pytest.fixture(scope="session")
def small(make_summary: SummaryFactory) -> RunSummary:
    """Two defenses, one of which rejects, under one attack at two epsilons."""
    return make_summary(
        {
            ("none", "pgd", "0.1"): (400, 100, 0),
            ("none", "pgd", "0.3"): (5, 495, 0),
            ("magnet", "pgd", "0.1"): (416, 59, 25),
            ("magnet", "pgd", "0.3"): (0, 0, 500),
        },
        clean={"none": (495, 5, 0), "magnet": (482, 2, 16)},
        details=DETAILS,
    )


@pytest.fixture
def make_console(monkeypatch: pytest.MonkeyPatch) -> ConsoleFactory:
    """Make a console over a buffer; without a width it is a pipe."""
    monkeypatch.setenv("TERM", "xterm-256color")

    def make(width: int | None = None) -> tuple[Console, io.StringIO]:
        text = io.StringIO()
        return Console(file=text, width=width, force_terminal=width is not None, color_system=None), text

    return make
