"""Diagnoses of a stored run, and without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from robench.api import UsageError
from robench.engine.progress import Silent
from robench.session import diagnosing, evaluation
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from robench.api.records import Finding
    from tests.conftest import ToyLab


def diagnose_run(lab: ToyLab, **changes: Any) -> dict[str, tuple[Finding, ...]]:
    """Run, then diagnose every defense of what was stored."""
    changes = {"images": 20, **changes}
    summary = lab.run(**changes)
    session = lab.session()
    request = session.resolve(lab.overrides(**changes))
    under_way = evaluation._Evaluation(request, session.catalog, Silent())
    under_way.prepare()
    with ResultStore.open(request.db, create=False) as store:
        for _, prepared in under_way.prepared:
            if prepared is not None:
                diagnosing.diagnose_evaluation(
                    under_way.bench, under_way.sweeps, prepared, store=store, run=summary.run, progress=Silent()
                )
        return dict(store.findings(summary.run.id))


def test_a_run_is_diagnosed_from_what_it_has_stored(lab: ToyLab) -> None:
    findings = diagnose_run(
        lab, defenses=("none", "toy-detect"), attacks=("fgsm", "pgd", "adaptive"), epsilons="0.02,0.1,0.3"
    )
    undefended = {finding.name: finding.status for finding in findings["none"]}
    assert set(undefended.values()) == {"PASS"}, findings["none"]
    assert {"pgd: beaten-by-transfer", "pgd: monotone", "adaptive: unbounded"} <= set(undefended)
    detector = {finding.name: finding.status for finding in findings["toy-detect"]}
    assert detector["pgd: unbounded"] == "FAIL"
    assert detector["adaptive: unbounded"] == "PASS"


def test_what_a_run_has_not_done_is_said_not_to_have_run(lab: ToyLab) -> None:
    (found,) = diagnose_run(lab, defenses=("none",), attacks=("pgd",), epsilons="0.1").values()
    numbers = {finding.name: finding.number for finding in found}
    for name in ("monotone", "beaten-by-transfer", "beaten-by-black-box"):
        assert numbers[f"pgd: {name}"] == "not run"


def test_a_run_without_outcomes_is_not_passed(lab: ToyLab) -> None:
    summary = lab.run(defenses=("none",), attacks=("pgd",), epsilons="0.1")
    session = lab.session()
    request = session.resolve(lab.overrides(defenses=("none",), attacks=("pgd",), epsilons="0.2"))
    other = evaluation._Evaluation(request, session.catalog, Silent())
    other.prepare()
    (prepared,) = (prepared for _, prepared in other.prepared)
    assert prepared is not None
    with ResultStore.open(request.db, create=False) as store:
        found = diagnosing.diagnose_evaluation(
            other.bench, other.sweeps, prepared, store=store, run=summary.run, progress=Silent()
        )
    assert [(finding.name, finding.status, finding.number) for finding in found] == [("pgd: all", "WARN", "not run")]


def test_only_attacks_that_take_steps_can_be_diagnosed(lab: ToyLab) -> None:
    session = lab.session()
    with pytest.raises(UsageError, match="naive attack that takes steps"):
        session.diagnose(session.resolve(lab.overrides(attacks=("fgsm", "toy-corner"))))
