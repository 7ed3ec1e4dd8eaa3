"""What a real LaTeX says of the tables: nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from robench.api.records import Card, FailureRow
from robench.report.latex.table import to_latex
from tests.tex_compiler import complaints, require_tex

if TYPE_CHECKING:
    from pathlib import Path

    from robench.api.records import RunSummary
    from tests.report.conftest import SummaryFactory

pytestmark = pytest.mark.tex

PAPERS = ("twocolumn,10pt", "10pt", "11pt", "twocolumn,12pt")
ATTACKS = ("fgsm", "bim", "pgd", "adaptive", "worst-case", "cw")
NASTY = (
    "none",
    r"a_b%c$d#e&f{g}h~i^j\k<l>m|n",
    'o"p`q--r',
    "[s]*",
    "d\u00e9fense-\u03b1",
    "x" * 70,
    "long-" * 12 + "name",
)


@pytest.fixture(scope="module")
def compiler() -> str:
    return require_tex()


def run(make_summary: SummaryFactory, defenses: tuple[str, ...], attacks: tuple[str, ...], epsilons: int) -> RunSummary:
    results = {
        (defense, attack, f"{0.3 * (place + 1) / epsilons:.3g}"): (500 - 10 * place - row, 10 * place, row)
        for row, defense in enumerate(defenses)
        for attack in attacks
        for place in range(epsilons)
    }
    details: dict[str, object] = {
        "data_digest": "0123456789abcdef" * 4,
        "classifier_digest": "fedcba9876543210" * 4,
        "attacks": {
            attack: {"parameters": {"relative_step": 1 / 30, "restarts": 1, "steps": 40}} for attack in attacks
        },
        "budget": "quick",
        "defenses": {name: {"threshold": 0.0123456, "threshold_rule": "finite-sample"} for name in defenses[1:]},
        "environment": {"robench": "0.1.0"},
    }
    summary = make_summary(results, clean=dict.fromkeys(defenses, (480, 15, 5)), details=details)
    cards = tuple(
        Card(defense=name, created="", verdict="UNRELIABLE: adaptive: doubling", lines=()) for name in defenses[1:]
    )
    return replace(summary, cards=cards)


FOUR = ("none", "magnet", "puvae", "puvae-detect")
RUNS: dict[str, tuple[tuple[str, ...], tuple[str, ...], int]] = {
    "ordinary": (FOUR, ("pgd", "adaptive"), 3),
    "one-epsilon": (FOUR, ("adaptive",), 1),
    "many": (tuple(f"defense-{place}" for place in range(9)), ATTACKS, 30),
    "nasty-names": (NASTY, ("pgd", "a_b&c"), 2),
    "no-attack": (("none",), (), 1),
}


@pytest.mark.parametrize("options", PAPERS)
@pytest.mark.parametrize("name", RUNS)
def test_tables_compile_without_a_complaint(
    make_summary: SummaryFactory, compiler: str, tmp_path: Path, name: str, options: str
) -> None:
    summary = run(make_summary, *RUNS[name])
    for proportion in (False, True):
        assert complaints(compiler, tmp_path, options, to_latex(summary, proportion=proportion)) == []


@pytest.mark.parametrize("options", PAPERS)
def test_tables_of_a_run_that_was_interrupted_compile(
    make_summary: SummaryFactory, compiler: str, tmp_path: Path, options: str
) -> None:
    failure = FailureRow(defense="magnet", attack="pgd", epsilon="0.3", reason="\\input{x} \u03b1 %\n$")
    results = {("none", "pgd", "0.1"): (300, 0, 0), ("magnet", "pgd", "0.1"): (300, 0, 0)}

    assert (
        complaints(compiler, tmp_path, options, to_latex(make_summary(results, complete=False, failures=[failure])))
        == []
    )


def test_a_table_that_is_too_wide_would_be_noticed(compiler: str, tmp_path: Path) -> None:
    wide = f"\\begin{{table}}\\begin{{tabular}}{{l}}{'x' * 200}\\end{{tabular}}\\end{{table}}\n"

    assert any("Overfull" in line for line in complaints(compiler, tmp_path, "10pt", wide))
