"""What the lines of a card say of the evidence behind them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from robench.analysis.card import build_card, diagnostics_that_count, failed_diagnostics
from robench.analysis.evidence import critical_epsilons
from robench.api.records import Finding
from tests.analysis.test_evidence import evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from robench.analysis.evidence import Evidence
    from robench.api.records import Run
    from tests.analysis.conftest import CountsFactory, JudgedFactory


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


def test_of_two_epsilons_in_the_middle_the_smaller_is_shown(
    judged: JudgedFactory, make_run: Callable[..., Run]
) -> None:
    four = swept(judged, dict.fromkeys(("0.05", "0.1", "0.2", "0.3"), "cc"))
    assert shown(make_run(), four) == ["0.05", "0.1", "0.3"]
    five = swept(judged, dict.fromkeys(("0.05", "0.1", "0.15", "0.2", "0.3"), "cc"))
    assert shown(make_run(), five) == ["0.05", "0.15", "0.3"]


def test_a_defense_is_never_called_more_robust_by_attacks_that_did_not_know_it(
    judged: JudgedFactory, make_run: Callable[..., Run]
) -> None:
    strong, weak = swept(judged, {"0.1": "c" * 10}), swept(judged, {"0.1": "w" * 10})
    told = lines(make_run(), strong, weak)["CONTEXT"]
    assert "eps 0.1 MORE robust (b 10, c 0, p 0.002)" in told
    assert "no attack knew the defense" not in told
    for knowledge in ("naive", "oblivious"):
        blind = swept(judged, {"0.1": "c" * 10}, knowledge=knowledge)
        told = lines(make_run(), blind, weak)["CONTEXT"]
        assert "MORE" not in told
        assert "eps 0.1 fewer images lost (b 10, c 0, p 0.002); that it is more robust is not to be shown" in told
        assert "no attack knew the defense" not in lines(make_run(), blind, strong)["CONTEXT"]  # nothing differs


def test_a_defense_is_called_less_robust_by_any_attack(judged: JudgedFactory, make_run: Callable[..., Run]) -> None:
    weak = swept(judged, {"0.1": "w" * 10}, knowledge="naive")
    told = lines(make_run(), weak, swept(judged, {"0.1": "c" * 10}))
    assert "eps 0.1 LESS robust" in told["CONTEXT"]
    assert "LESS robust than no defense at eps 0.1" in told["VERDICT"]


def test_a_true_positive_rate_that_so_few_images_cannot_resolve_is_a_dash(
    judged: JudgedFactory, make_run: Callable[..., Run]
) -> None:
    told = lines(make_run(), evidence(judged, facts={"threshold": 0.5}))["STRATA"]
    assert "AUC 37.5 | 50.0; TPR at FPR 0.1 % - | -; 1 % - | -; 5 % - | -" in told


@pytest.mark.parametrize(
    ("ensemble", "knowledge", "counted"),
    [
        ("adaptive", "adaptive", ("adaptive: order",)),
        ("worst-case", "adaptive", ("worst-case: order",)),
        ("worst-case", "naive", ("pgd: order", "worst-case: order")),
        ("", "naive", ("pgd: order",)),
    ],
)
def test_diagnostics_count_that_are_about_the_attacks_behind_the_headline(
    judged: JudgedFactory, make_counts: CountsFactory, ensemble: str, knowledge: str, counted: tuple[str, ...]
) -> None:
    names = ["pgd: order", *([f"{ensemble}: order"] if ensemble else [])]
    for status in ("WARN", "FAIL"):
        findings = [Finding(name=name, status=status, number="1", meaning="", mend="") for name in names]
        members = [make_counts("d", "pgd", "0.1", (1, 0, 0))] if ensemble else []
        own = swept(judged, {"0.1": "cc"}, findings=findings, members=members, knowledge=knowledge)
        assert diagnostics_that_count(own, status) == counted
        assert failed_diagnostics(own) == (counted if status == "FAIL" else ())


def test_a_worst_case_that_knows_nothing_of_the_defense_names_its_attacks(
    judged: JudgedFactory, make_run: Callable[..., Run], make_counts: CountsFactory
) -> None:
    members = [make_counts("d", attack, "0.1", (1, 1, 0)) for attack in ("fgsm", "pgd")]
    own = swept(judged, {"0.1": "cw"}, members=members, knowledge="naive", winners=("pgd",), strangers=("joint",))
    assert "upper bound only, by pgd (naive), joint of another run: at most" in lines(make_run(), own)["VERDICT"]
