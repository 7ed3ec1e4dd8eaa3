"""``robench diagnose``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Program

TOYS = (
    *("--dataset", "toy-bars", "--classifier", "toy-linear", "--epsilons", "0.02,0.1,0.3", "--device", "cpu"),
    *("--images", "20"),
)


def test_an_undefended_classifier_passes_and_nothing_is_stored(program: Program) -> None:
    done = program("diagnose", *TOYS, "--defense", "none", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    header, _, *rows = done.stdout.splitlines()
    assert header.split() == ["defense", "diagnostic", "status", "number", "meaning", "mend"]
    assert len(rows) == 14 + 9
    assert all(" PASS " in row for row in rows)
    assert list(program.folder.iterdir()) == []


def test_a_failing_diagnosis_is_the_exit_code(program: Program) -> None:
    done = program("diagnose", *TOYS, "--defense", "toy-detect", "--attack", "pgd", "--json")
    assert done.returncode == 1, done.stderr
    (diagnosis,) = json.loads(done.stdout)["diagnoses"]
    assert diagnosis["defense"] == "toy-detect"
    assert diagnosis["fails"]
    failed = {finding["name"] for finding in diagnosis["findings"] if finding["status"] == "FAIL"}
    assert {"pgd: zero-gradient", "pgd: unbounded"} <= failed
    assert all(finding["mend"] for finding in diagnosis["findings"] if finding["status"] != "PASS")
