from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from robench.analysis import clopper_pearson, wilson

if TYPE_CHECKING:
    from collections.abc import Callable

Interval = tuple[float, float]
BOTH = pytest.mark.parametrize("interval", [wilson, clopper_pearson])


@pytest.mark.parametrize(("interval", "method"), [(wilson, "wilson"), (clopper_pearson, "exact")])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 500), (1, 500), (250, 500), (482, 500), (500, 500)])
def test_interval_equals_that_of_scipy_stats(
    interval: Callable[[int, int, float], Interval], method: str, confidence: float, successes: int, n: int
) -> None:
    expected = binomtest(successes, n).proportion_ci(confidence, method)

    assert interval(successes, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-10)


@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_lies_in_the_unit_interval_and_holds_the_share(case: tuple[int, int]) -> None:
    successes, n = case

    for low, high in (wilson(successes, n), clopper_pearson(successes, n)):
        assert 0 <= low <= successes / n <= high <= 1


@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.floats(0, n), st.just(n))))
def test_wilson_holds_shares_of_draws_too(case: tuple[float, int]) -> None:
    successes, n = case

    low, high = wilson(successes, n)

    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1


@BOTH
def test_interval_reaches_the_end_where_all_trials_agree(interval: Callable[[int, int], Interval]) -> None:
    assert interval(0, 37)[0] == 0.0
    assert interval(37, 37)[1] == 1.0


@BOTH
@pytest.mark.parametrize(
    ("successes", "n", "confidence", "message"),
    [
        (0, 0, 0.95, "0 trials"),
        (3, 2, 0.95, "3 successes in 2 trials"),
        (-1, 2, 0.95, "-1 successes"),
        (1, 2, 1.0, "confidence 1.0"),
        (1, 2, float("nan"), "confidence nan"),
    ],
)
def test_impossible_argument_is_refused(
    interval: Callable[[int, int, float], Interval], successes: int, n: int, confidence: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        interval(successes, n, confidence)


def test_the_interval_of_every_report_loads_no_scipy_and_the_other_no_scipy_stats() -> None:
    code = (
        "import sys; from robench.analysis import clopper_pearson, wilson; wilson(1, 2);"
        "quick = not {'scipy', 'numpy'} & set(sys.modules); clopper_pearson(1, 2);"
        "sys.exit(not quick or any(name in sys.modules for name in ('scipy.stats', 'torch', 'sqlalchemy')))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
