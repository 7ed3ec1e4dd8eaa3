from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench.report.curves import LEVELS, draw_line

SHARES = st.one_of(st.none(), st.floats(0, 1))


@pytest.mark.parametrize(
    ("share", "block"), [(0.0, "▁"), (0.124, "▁"), (0.125, "▂"), (0.5, "▅"), (0.99, "█"), (1.0, "█")]
)
def test_a_block_is_an_eighth_of_a_scale_from_zero_to_one(share: float, block: str) -> None:
    assert draw_line([share], 10) == block


def test_a_curve_that_fits_has_a_block_for_each_share() -> None:
    assert draw_line([0, 0.2, 0.4, 0.6, 0.8, 1], 6) == "▁▂▄▅▇█"


def test_a_curve_that_is_too_long_shows_the_least_of_neighbours() -> None:
    assert draw_line([1, 1, 1, 0, 1, 1, 1, 1], 4) == "█▁██"


def test_what_is_unknown_is_a_gap_and_spoils_no_neighbour() -> None:
    assert draw_line([None, 1, 0.5], 3) == "·█▅"
    assert draw_line([None, 1, None, None], 2) == "█·"


@given(st.lists(SHARES, min_size=1, max_size=60), st.integers(1, 40))
def test_a_curve_is_as_long_as_there_is_room(shares: list[float | None], width: int) -> None:
    line = draw_line(shares, width)

    assert len(line) == min(width, len(shares))
    known = [share for share in shares if share is not None]
    if known:
        assert min(LEVELS.index(block) for block in line if block != "·") == min(7, int(min(known) * 8))
