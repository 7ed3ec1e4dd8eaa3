from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from robench.analysis import summarise
from robench.analysis.published import PAPER, compare_published, read_published
from robench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from robench.api.published import Published, PublishedComparison
    from robench.api.records import Run, RunSummary
    from tests.analysis.conftest import CountsFactory

HEADER = "dataset,defense,attack,epsilon,quantity,value,low,high,source\n"


@pytest.fixture
def packaged() -> tuple[Published, ...]:
    return read_published(files("robench.analysis").joinpath("paper.csv").read_text(encoding="utf-8"), "paper.csv")


@pytest.fixture
def summary(make_run: Callable[..., Run], make_counts: CountsFactory) -> RunSummary:
    """Robust accuracy as in the paper on MNIST, but for puvae under FGSM at 0.3: 60 instead of 82.9 %."""
    details = json.dumps(
        {
            "calibration": "paper-grid",
            "false_positive_rate": 0.001,
            "parameters_changed": {},
            "defenses": {"puvae-detect": {"threshold": 0.13, "validation_images": 6000}},
        }
    )
    counts = [
        make_counts("puvae", "clean", "0", (972, 28, 0)),
        make_counts("puvae", "fgsm", "0.3", (600, 400, 0)),
        make_counts("puvae", "bim", "0.1", (970, 30, 0)),
        make_counts("puvae", "bim", "0.3", (939, 61, 0)),
        make_counts("puvae-detect", "clean", "0", (972, 27, 1)),
        make_counts("puvae-detect", "fgsm", "0.12", (900, 38, 62)),
        make_counts("puvae-detect", "fgsm", "0.3", (20, 2, 978)),
        make_counts("puvae-detect", "bim", "0.3", (865, 61, 74)),
        make_counts("puvae-detect", "pgd", "0.19", (800, 120, 80)),
        make_counts("puvae-detect", "pgd", "0.3", (200, 31, 769)),
    ]
    return summarise(make_run(1000, details), counts)


def verdicts(comparison: PublishedComparison) -> dict[tuple[str, str, str, str], str]:
    return {
        (item.published.defense, item.published.attack, item.published.epsilon, item.published.quantity): item.verdict
        for item in comparison.figures
    }


def compare(summary: RunSummary, published: tuple[Published, ...], **settings: Any) -> PublishedComparison:
    return compare_published(PAPER, published, summary, settings)


def test_the_packaged_reference_has_the_paper_s_tables_and_figures(packaged: tuple[Published, ...]) -> None:
    table = {
        (item.dataset, item.defense, item.attack, item.epsilon, item.quantity): item.value
        for item in packaged
        if item.source.startswith("Table")
    }
    assert len(table) == 3 * 15  # for each data set three of clean images, and four for each attack
    assert table["mnist", "puvae", "fgsm", "0.3", "accuracy"] == 0.829
    assert table["fashion-mnist", "puvae-detect", "pgd", "", "worst accuracy"] == 0.732
    assert table["cifar10", "none", "clean", "", "accuracy"] == 0.802
    assert {item.source for item in packaged} >= {"Table 3", "Table 4", "Table 5", "Figure 7", "Figure 8"}
    assert all(
        item.low <= item.value <= item.high for item in packaged if item.low is not None and item.high is not None
    )
    keys = [(item.dataset, item.defense, item.attack, item.epsilon, item.quantity) for item in packaged]
    assert len(set(keys)) == len(keys)


def test_each_figure_is_judged_by_its_own_tolerance(summary: RunSummary, packaged: tuple[Published, ...]) -> None:
    found = verdicts(compare(summary, packaged))
    assert found["puvae", "clean", "", "accuracy"] == "within"
    assert found["puvae", "fgsm", "0.3", "accuracy"] == "outside"
    assert found["puvae", "bim", "0.3", "accuracy"] == "within"
    assert found["puvae-detect", "pgd", "", "worst accuracy"] == "within error"  # 88.0 %, expected from 89.0 %
    assert found["puvae-detect", "clean", "", "threshold"] == "within"
    assert found["puvae-detect", "fgsm", "0.3", "accuracy"] == "not judged"


def test_differences_are_this_run_minus_the_published(summary: RunSummary, packaged: tuple[Published, ...]) -> None:
    figures = compare(summary, packaged).figures
    (fgsm,) = [item for item in figures if (item.published.defense, item.published.attack) == ("puvae", "fgsm")]
    assert fgsm.difference == pytest.approx(0.6 - 0.829)
    assert fgsm.measured.n == 1000
    (share,) = [
        item.measured.value
        for item in figures
        if (item.published.attack, item.published.epsilon, item.published.quantity)
        == ("fgsm", "0.3", "adversarial proportion")
    ]
    assert share == 0.978


def test_what_the_run_did_otherwise_is_told(summary: RunSummary, packaged: tuple[Published, ...]) -> None:
    told = compare(summary, packaged, images=10_000, profile="paper", calibration="paper-grid").deviations
    assert "images 1000, published with 10000" in told
    assert "profile quick, published with paper" in told
    assert any(deviation.startswith("4 epsilons, published with") for deviation in told)
    assert not any("calibration" in deviation for deviation in told)


def test_figures_without_a_counterpart_are_counted(summary: RunSummary, packaged: tuple[Published, ...]) -> None:
    comparison = compare(summary, packaged)
    assert comparison.unmatched == sum(item.dataset == "mnist" for item in packaged) - len(comparison.figures) > 100


def test_the_paper_s_shapes_are_looked_for(summary: RunSummary, packaged: tuple[Published, ...]) -> None:
    traits = {trait.claim: trait.holds for trait in compare(summary, packaged).traits}
    assert traits == {
        "FGSM does most harm near the threshold": True,
        "PGD does most harm slightly above the threshold": True,
        "under BIM accuracy falls as epsilon grows": True,
        "the detector adds nearly nothing against BIM": True,
    }


NEAR, FALLS = "FGSM does most harm near the threshold", "under BIM accuracy falls as epsilon grows"
ADDS = "the detector adds nearly nothing against BIM"
PLAIN, DETECT = "puvae", "puvae-detect"


@pytest.mark.parametrize(
    ("counts", "trait"),
    [
        ({(DETECT, "fgsm", "0.3"): (0, 900, 100)}, (NEAR, False)),
        ({(DETECT, "fgsm", "0.05"): (900, 100, 0)}, (NEAR, None)),  # the threshold is out of reach
        ({(PLAIN, "bim", "0.1"): (500, 500, 0), (PLAIN, "bim", "0.3"): (600, 400, 0)}, (FALLS, False)),
        ({(PLAIN, "bim", "0.3"): (500, 500, 0), (DETECT, "bim", "0.3"): (500, 400, 100)}, (ADDS, False)),
    ],
)
def test_a_shape_that_is_not_there_is_missed(
    make_run: Callable[..., Run],
    make_counts: CountsFactory,
    packaged: tuple[Published, ...],
    counts: Mapping[tuple[str, str, str], tuple[int, int, int]],
    trait: tuple[str, bool | None],
) -> None:
    details = json.dumps({"defenses": {"puvae-detect": {"threshold": 0.13}}})
    swept = summarise(make_run(1000, details), [make_counts(*key, outcomes) for key, outcomes in counts.items()])
    assert trait in [(found.claim, found.holds) for found in compare(swept, packaged).traits]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dataset,value\nmnist,1\n", "the column defense is missing"),
        (f"{HEADER}mnist,none,pgd,0.1,accuracy,much,,,T\n", "line 2, value: 'much' is no decimal number"),
        (f"{HEADER}mnist,none,pgd,0.1,accuracy,nan,,,T\n", "line 2, value: 'nan' is no decimal number"),
        (f"{HEADER}mnist,none,pgd,0.1,accuracy,,,,T\n", "the value is missing"),
        (f"{HEADER}mnist,none,pgd,0.1,speed,1,,,T\n", "'speed' is no quantity"),
        (f'{HEADER}mnist,"none', "unexpected end of data"),
        (f"{HEADER}mnist,none,pgd,0.1,accuracy,87,,,T\n", "line 2: a share lies outside"),
        (f"{HEADER}mnist,none,pgd,0.1,accuracy,0.8,0.7,90,T\n", "line 2: a share lies outside"),
        ("", "the column dataset is missing"),
    ],
)
def test_a_malformed_reference_is_refused_by_line(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_published(text, "mine.csv")


def test_epsilons_are_equal_as_numbers() -> None:
    (figure,) = read_published(f"{HEADER}mnist,none,pgd,0.10,accuracy,0.5,,,T\n", "mine.csv")
    assert figure.epsilon == "0.1"
