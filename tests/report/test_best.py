from __future__ import annotations

from robench.api.records import CleanRow
from robench.report.best import best_defenses


def row(name: str, low: float, value: float, high: float) -> CleanRow:
    return CleanRow(
        defense=name, n=100, accuracy=value, accuracy_low=low, accuracy_high=high, correct=0, wrong=0, rejected=0
    )


def test_the_best_is_alone_where_no_interval_reaches_its_own() -> None:
    assert best_defenses([row("a", 0.1, 0.2, 0.3), row("b", 0.7, 0.8, 0.9)]) == {"b"}


def test_all_whose_intervals_overlap_the_best_tie_with_it() -> None:
    rows = [row("a", 0.1, 0.2, 0.3), row("b", 0.7, 0.8, 0.9), row("c", 0.65, 0.7, 0.75), row("d", 0.5, 0.6, 0.69)]

    assert best_defenses(rows) == {"b", "c"}


def test_nobody_is_best_where_all_tie() -> None:
    assert best_defenses([row("a", 0.4, 0.5, 0.6), row("b", 0.5, 0.55, 0.6)]) == frozenset()
    assert best_defenses([row("a", 0.0, 0.0, 0.1), row("b", 0.0, 0.0, 0.1)]) == frozenset()


def test_nobody_is_best_alone_or_among_none() -> None:
    assert best_defenses([row("a", 0.4, 0.5, 0.6)]) == frozenset()
    assert best_defenses([]) == frozenset()
