"""What the lines of a card say of the evidence behind them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from robench.analysis.card import build_card
from robench.analysis.evidence import critical_epsilons
from tests.analysis.test_evidence import evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from robench.analysis.evidence import Evidence
    from robench.api.records import Run
    from tests.analysis.conftest import JudgedFactory


def lines(run: Run, own: Evidence, baseline: Evidence | None = None) -> dict[str, str]:
    return dict(build_card(own, baseline, run, {}, "2026-01-02T03:04:05+00:00").lines)


def swept(judged: JudgedFactory, ends: dict[str, str], **changes: Any) -> Evidence:
    """Make evidence of a defense that never rejects."""
    clean = judged("c" * len(next(iter(ends.values()))))
    worst = {epsilon: judged(one) for epsilon, one in ends.items()}
    critical = critical_epsilons(worst, clean, ())
    return evidence(judged, **{"clean": clean, "worst": worst, "critical": critical, "rejection": None, **changes})


def shown(run: Run, own: Evidence) -> list[str]:
    return re.findall(r"eps ([0-9.]+) 100\.0", lines(run, own)["ROBUST"])


def test_of_two_epsilons_in_the_middle_the_smaller_is_shown(judged: JudgedFactory, make_run: Callable[..., Run]) -> None:
    four = swept(judged, dict.fromkeys(("0.05", "0.1", "0.2", "0.3"), "cc"))
    assert shown(make_run(), four) == ["0.05", "0.1", "0.3"]
    five = swept(judged, dict.fromkeys(("0.05", "0.1", "0.15", "0.2", "0.3"), "cc"))
    assert shown(make_run(), five) == ["0.05", "0.15", "0.3"]
