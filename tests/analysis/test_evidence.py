"""What follows from outcomes of one run and wins of others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from robench.analysis.evidence import (
    LENIENT,
    MEDIAN,
    STRICT,
    Evidence,
    critical_epsilons,
    imply_at_half,
    measure,
    rejection_radii,
    worst_case,
)
from robench.api.records import Metric, Win

if TYPE_CHECKING:
    from tests.analysis.conftest import JudgedFactory

SCORES = [0.1, 0.2, 0.3, 0.9]


def evidence(judged: JudgedFactory, **changes: Any) -> Evidence:
    clean = judged("cccr", score=SCORES)
    worst = {"0.1": judged("cwcr", score=SCORES), "0.3": judged("rwwr", score=[0.8, 0.2, 0.3, 0.9])}
    values: dict[str, Any] = {
        "defense": "d",
        "norm": "linf",
        "knowledge": "adaptive",
        "clean": clean,
        "worst": worst,
        "critical": critical_epsilons(worst, clean, ()),
        "rejection": np.array([0.03, 0.2, math.inf, 0.0]),
        "alone": (),
        "members": (),
        "credit": {},
        "stochastic": False,
        "findings": (),
        "facts": {},
    }
    return Evidence(**{**values, **changes})


def figures(found: tuple[Metric, ...]) -> dict[tuple[str, str], Metric]:
    return {(metric.epsilon, metric.name): metric for metric in found}


def test_the_smallest_win_counts_whoever_brought_it(judged: JudgedFactory) -> None:
    clean = judged("ccwcc", images=[4, 8, 15, 16, 23])
    run = {"0.2": judged("wcwcc", images=[4, 8, 15, 16, 23]), "0.3": judged("wwwcc", images=[4, 8, 15, 16, 23])}
    wins = (Win(image=4, epsilon="0.1", attack="a"), Win(image=16, epsilon="1", attack="b"))
    assert critical_epsilons(run, clean, wins).tolist() == [0.1, 0.3, 0.0, 1.0, math.inf]


def test_wins_of_other_runs_lower_the_bound_and_half_of_it_over_a_random_defense(judged: JudgedFactory) -> None:
    own = judged("ccc", fooled=[0.0, 0.2, 0.45])
    critical = np.array([math.inf, 0.1, 0.2])
    assert worst_case(own, critical, "0.1", stochastic=False).fooled.tolist() == [0.0, 1.0, 0.45]
    assert worst_case(own, critical, "0.2", stochastic=True).fooled.tolist() == [0.0, 0.5, 0.5]
    assert worst_case(own, critical, "0.05", stochastic=False).fooled.tolist() == own.fooled.tolist()


def test_the_rejection_radius_is_the_smallest_and_0_where_the_clean_image_is_rejected(judged: JudgedFactory) -> None:
    clean = judged("ccr")
    found = {"0.1": judged("ccr"), "0.02": judged("rcc")}
    assert rejection_radii(found, clean).tolist() == [0.02, math.inf, 0.0]


def test_figures_are_those_of_the_definitions(judged: JudgedFactory) -> None:
    found = figures(measure(evidence(judged)))
    assert found["0.1", STRICT].value == pytest.approx(2 / 4)  # images 0 and 2; 3 was rejected when clean
    assert found["0.1", LENIENT].value == pytest.approx(3 / 4)
    assert found["0.3", STRICT].value == pytest.approx(1 / 4)
    assert found["0.1", "robust accuracy, alpha 0"].value == pytest.approx(2 / 4)
    assert found["0.1", "robust accuracy, alpha 0.3"].value == pytest.approx(1 / 4)  # image 0 is rejected within 0.03
    assert found["", MEDIAN].value == pytest.approx(0.3)
    assert found["", "false-positive rate, test"].value == pytest.approx(1 / 4)
    assert found["0.3", "adversarial proportion"].value == pytest.approx(2 / 4)
    assert all(
        metric.n == 4 for (_, name), metric in found.items() if "detector" not in name and "robust error" not in name
    )


def test_figures_of_a_detector_rest_on_the_misclassified_and_say_nothing_that_the_clean_cannot(
    judged: JudgedFactory,
) -> None:
    found = figures(measure(evidence(judged)))
    names = ["detector AUC", *(f"detector TPR at FPR {rate} %" for rate in ("0.1", "1", "5"))]
    assert [found["0.3", name].n for name in names] == [2] * 4
    assert [found["0.3", name].value is None for name in names] == [False, True, True, True]
    clean = judged("c" * 100, score=[0.1] * 100)
    worst = {"0.1": judged("w" + "c" * 99, score=[0.2] * 100)}
    critical = critical_epsilons(worst, clean, ())
    more = figures(measure(evidence(judged, clean=clean, worst=worst, critical=critical, rejection=None)))
    assert [more["0.1", name].value for name in names] == [1.0, None, 1.0, 1.0]
    assert [more["0.1", name].n for name in names] == [1] * 4


def test_infinity_is_stored_as_nothing_and_a_defense_without_scores_has_no_detector(judged: JudgedFactory) -> None:
    clean = judged("cccc")
    worst = {"0.1": judged("cccw")}
    plain = evidence(judged, clean=clean, worst=worst, critical=critical_epsilons(worst, clean, ()), rejection=None)
    found = figures(measure(plain))
    assert found["", MEDIAN].value is None
    assert not [name for _, name in found if "alpha" in name or "detector" in name or "false-positive" in name]


def test_half_the_largest_epsilon_is_bounded_by_its_neighbours(judged: JudgedFactory) -> None:
    implied = imply_at_half(evidence(judged))
    assert implied is not None
    assert (implied.epsilon, implied.least, implied.most) == ("0.15", 1 / 4, 2 / 4)
    lowered = imply_at_half(evidence(judged, critical=np.array([0.12, 0.1, 0.3, math.inf])))
    assert lowered is not None
    assert (lowered.least, lowered.most) == (1 / 4, 1 / 4)  # another run has won image 0 at 0.12
    assert imply_at_half(evidence(judged, worst={})) is None


def test_what_is_implied_never_contradicts_itself_where_draws_were_lucky(judged: JudgedFactory) -> None:
    worst = {"0.1": judged("wwcr", score=SCORES), "0.3": judged("cccr", score=SCORES)}
    implied = imply_at_half(evidence(judged, worst=worst, critical=np.full(4, math.inf), stochastic=True))
    assert implied is not None
    assert implied.least <= implied.most == 1 / 4


def test_below_the_smallest_epsilon_only_the_clean_images_bound(judged: JudgedFactory) -> None:
    critical = np.array([math.inf, 0.3, math.inf, math.inf])
    implied = imply_at_half(evidence(judged, worst={"0.3": judged("cwcr", score=SCORES)}, critical=critical))
    assert implied is not None
    assert (implied.least, implied.most) == (2 / 4, 3 / 4)
