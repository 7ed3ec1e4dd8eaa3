from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from robench.api.records import Card, FailureRow
from robench.report.latex.table import to_latex

if TYPE_CHECKING:
    from robench.api.records import RunSummary
    from tests.report.conftest import SummaryFactory

ADAPTIVE = {
    ("none", "adaptive", "0.1"): (400, 100, 0),
    ("none", "adaptive", "0.3"): (5, 495, 0),
    ("magnet", "adaptive", "0.1"): (300, 100, 100),
    ("magnet", "adaptive", "0.3"): (200, 250, 50),
}


@pytest.fixture(scope="module")
def adaptive(make_summary: SummaryFactory) -> RunSummary:
    """Two defenses under attacks that know them: equal at 0.1, far apart at 0.3."""
    clean = {"none": (495, 5, 0), "magnet": (450, 2, 48)}
    details: dict[str, object] = {
        "data_digest": "0123456789abcdef" * 4,
        "classifier_digest": "fedcba9876543210" * 4,
        "attacks": {
            "pgd": {"parameters": {"steps": 40, "relative_step": 1 / 30}},
            "joint": {"parameters": {"rounds": 3}},
        },
        "budget": "quick",
        "defenses": {
            "magnet": {"threshold": 0.0123456, "threshold_rule": "finite-sample"},
            "none": {"threshold": None},
        },
        "environment": {"robench": "0.1.0"},
        "parameters_changed": {"puvae": ["latent_noise=0.2"]},
        "replay": "robench run --seed 7 %",
    }
    return make_summary(ADAPTIVE, clean=clean, knowledge="adaptive", details=details)


def rows(text: str, block: str) -> dict[str, list[str]]:
    """The cells of a block by row, without marks of size."""
    (body,) = re.findall(rf"\\emph{{{re.escape(block)}}}}} \\\\\n(.*?)\n\\(?:midrule|bottomrule)", text, re.DOTALL)
    lines = [line.removesuffix(r" \\").split(" & ") for line in body.split("\n")]
    return {name: [re.sub(r"{\\scriptsize (.*?)}", r"\1", cell) for cell in cells] for name, *cells in lines}


def caption(text: str) -> str:
    (found,) = re.findall(r"\\caption{\\raggedright (.*)}", text)
    return str(found)


def test_a_block_has_a_row_for_each_defense_and_a_column_for_each_epsilon(small: RunSummary) -> None:
    text = to_latex(small)

    assert rows(text, "without attack") == {
        "none": [r"\multicolumn{4}{l@{}}{\textbf{99.0} [98.0, 100.0]}"],
        "magnet": [r"\multicolumn{4}{l@{}}{96.4 [95.4, 97.4], 3.2 rejected}"],
    }
    assert rows(text, "pgd (naive: upper bounds)") == {
        "none": ["80.0", "[78.0, 82.0]", "1.0", "[0.0, 3.0]"],
        "magnet": ["88.2", "[86.2, 90.2]", "100.0", "[98.0, 100.0]"],
    }
    assert r"defense & \multicolumn{2}{c}{0.1} & \multicolumn{2}{c}{0.3} \\" in text
    assert r"$\varepsilon$ ($\ell_\infty$)" in text


def test_the_best_is_bold_under_attacks_that_know_the_defense(adaptive: RunSummary) -> None:
    found = rows(to_latex(adaptive), "adaptive, worst case per image")

    assert found["none"] == ["80.0", "[78.0, 82.0]", "1.0", "[0.0, 3.0]"]
    assert found["magnet"] == ["80.0", "[78.0, 82.0]", r"\textbf{50.0}", "[48.0, 52.0]"]


def test_no_upper_bound_is_bold(small: RunSummary) -> None:
    text = to_latex(small)

    assert r"\textbf" not in text[text.index("pgd (naive") : text.index("bottomrule")]
    assert "never under attacks that do not know the defense" in text


def test_an_unreliable_defense_is_marked_and_never_bold(adaptive: RunSummary) -> None:
    cards = (
        Card(defense="none", created="", verdict="upper bound only: at most 1 %", lines=()),
        Card(defense="magnet", created="", verdict="UNRELIABLE: adaptive: doubling, adaptive: order", lines=()),
    )

    text = to_latex(replace(adaptive, cards=cards))

    found = rows(text, "adaptive, worst case per image")
    assert found[r"magnet$^\dagger$"][2] == "50.0"
    assert r"magnet$^\dagger$" in rows(text, "without attack")
    assert (
        r"$^\dagger$\,\textbf{UNRELIABLE} by the evaluation card, and never bold: "
        "magnet (adaptive: doubling, adaptive: order)."
    ) in text
    assert "UNRELIABLE" not in to_latex(adaptive)


def test_the_caption_says_what_was_measured_and_how(adaptive: RunSummary) -> None:
    assert caption(to_latex(adaptive)) == (
        r"Robust accuracy (correct or rejected; without attack, correct only) in \% with 95\,\% Wilson intervals: "
        r"mnist, classifier a, profile quick, $n=500$ test images, seed 7, norm $\ell_\infty$. "
        "Scores are rejected above: magnet 0.01235 (finite-sample). "
        r"Settings: adaptive budget quick; changed from the defaults: puvae.latent\_noise=0.2."
    )


def test_notes_and_comments_name_digests_run_and_the_command(adaptive: RunSummary) -> None:
    text = to_latex(adaptive)

    assert "SHA-256: data 0123456789ab, classifier fedcba987654; robench 0.1.0, run 0123456789ab." in text
    assert text.startswith(
        "% robench report --format latex; needs \\usepackage{booktabs}\n"
        "% run 0123456789ab, created 2026-01-02T03:04:05Z: robench run --seed 7 %\n"
    )
    assert r"\label{tab:robench-0123456789ab}" in text


def test_parameters_of_attacks_are_settings(make_summary: SummaryFactory) -> None:
    details: dict[str, object] = {"attacks": {"pgd": {"parameters": {"steps": 40, "relative_step": 1 / 30}}}}

    text = to_latex(make_summary({("none", "pgd", "0.1"): (1, 1, 0)}, details=details))

    assert r"Settings: pgd steps 40, relative\_step 0.03333." in text


def test_the_norm_is_that_of_the_run(small: RunSummary) -> None:
    text = to_latex(replace(small, norm="l2"))

    assert r"norm $\ell_2$" in text
    assert r"$\ell_\infty$" not in text


def test_an_incomplete_run_says_so_first_and_shows_its_gaps(make_summary: SummaryFactory) -> None:
    failure = FailureRow(defense="magnet", attack="pgd", epsilon="0.3", reason="no\nmemory %")
    results = {
        ("none", "pgd", "0.1"): (500, 0, 0),
        ("none", "pgd", "0.3"): (300, 0, 0),
        ("magnet", "pgd", "0.1"): (5, 0, 0),
    }

    text = to_latex(make_summary(results, clean={"none": (500, 0, 0)}, complete=False, failures=[failure]))

    assert caption(text).startswith(r"\textbf{INCOMPLETE: 1,305 of 3,000 outcomes.}")
    assert rows(text, "without attack")["magnet"] == [r"\multicolumn{4}{l@{}}{--}"]
    assert rows(text, "pgd (naive: upper bounds)") == {
        "none": ["100.0", "[98.0, 100.0]", "100.0", "[98.0, 100.0] (n=300)"],
        "magnet": ["100.0", "[98.0, 100.0] (n=5)", r"\multicolumn{2}{c}{failed}"],
    }
    assert "% failed: pgd on magnet at eps 0.3: no memory %\n" in text


def test_outcomes_of_fewer_images_neither_win_nor_lose(make_summary: SummaryFactory) -> None:
    results = {("none", "adaptive", "1"): (250, 250, 0), ("magnet", "adaptive", "1"): (300, 0, 0)}

    found = rows(to_latex(make_summary(results, knowledge="adaptive")), "adaptive, worst case per image")

    assert [found["none"][0], found["magnet"][0]] == ["50.0", "100.0"]


def test_the_adversarial_proportion_has_rows_where_it_is_asked_for(small: RunSummary) -> None:
    text = to_latex(small, proportion=True)

    assert "\\quad rejected & 5.0 & & 100.0 & \\\\\n" in text
    assert text.count(r"\quad rejected") == 1  # none never rejects
    assert r"\quad rejected" not in to_latex(small)


def test_many_epsilons_leave_a_few_columns_and_the_least_that_they_hide(make_summary: SummaryFactory) -> None:
    sweep = {("none", "pgd", f"{place / 100}"): (500 - place, place, 0) for place in range(1, 31)}
    sweep["none", "pgd", "0.17"] = (50, 450, 0)

    text = to_latex(make_summary(sweep))

    found = rows(text, "pgd (naive: upper bounds)")
    assert found[""] == [r"\multicolumn{6}{l@{}}{least: 10.0 [8.0, 12.0] at $\varepsilon=0.17$}"]
    assert [re.findall(r"\d\.\d+(?=})", line) for line in text.splitlines() if line.startswith("defense")] == [
        ["0.1", "0.2", "0.3"]
    ]
    assert r"Columns are 3 of 30 values of $\varepsilon$." in text


def test_one_epsilon_fits_a_column_and_several_need_both(make_summary: SummaryFactory, small: RunSummary) -> None:
    assert r"\begin{table}" in to_latex(make_summary({("none", "pgd", "0.1"): (500, 0, 0)}))
    assert r"\begin{table*}" in to_latex(make_summary({("none", "pgd", f"{place}"): (5, 0, 0) for place in range(3)}))


def test_more_rows_than_a_page_holds_go_on_in_tables_with_labels_of_their_own(make_summary: SummaryFactory) -> None:
    names = [f"defense-{place}" for place in range(30)]
    results = {(name, attack, "0.1"): (400, 100, 0) for name in names for attack in ("fgsm", "pgd")}

    text = to_latex(make_summary(results, clean=dict.fromkeys(names, (500, 0, 0))))

    labels = re.findall(r"\\label{(.*)}", text)
    assert labels[:2] == ["tab:robench-0123456789ab", "tab:robench-0123456789ab-2"]
    assert len(labels) == len(set(labels)) == text.count(r"\toprule")
    assert text.count(r"\ref{tab:robench-0123456789ab} continued.") == len(labels) - 1
    assert all(text.count(f"\n{name} & ") == 3 for name in names)


def test_a_run_without_attacks_or_outcomes_is_still_a_table(make_summary: SummaryFactory) -> None:
    assert rows(to_latex(make_summary({}, clean={"none": (500, 0, 0)})), "without attack") == {
        "none": [r"\multicolumn{2}{l@{}}{100.0 [99.0, 100.0]}"]
    }
    failure = FailureRow(defense="magnet", attack="clean", epsilon="0", reason="no weights")
    assert "{failed}" in to_latex(make_summary({}, complete=False, failures=[failure]))
