"""What diagnoses measure."""

from __future__ import annotations

import pytest
import torch

from robench.engine.diagnostics.climb import WINDOW, Climb
from robench.engine.diagnostics.gradients import dead
from robench.engine.sightings import Sightings


def climb(*losses: list[float]) -> Climb:
    """Tell of one ascent for each list of losses, on one slot."""
    told = Climb(1)
    for ascent in losses:
        for step, loss in enumerate(ascent):
            told(step, torch.tensor([0]), torch.tensor([loss]), torch.tensor([False]))
    return told


def test_gradients_are_dead_where_all_is_zero_or_something_is_not_finite() -> None:
    gradients = torch.zeros(4, 1, 2, 2)
    gradients[1, 0, 0, 0] = 1e-30
    gradients[2, 0, 1, 1] = torch.nan
    gradients[3, 0, 0, 1] = torch.inf
    assert dead(gradients).tolist() == [True, False, True, True]


def test_the_best_loss_counts_not_the_present_one() -> None:
    flat = [1.0, 3.0] + [2.0] * WINDOW
    assert climb(flat).rise([0]) == 0
    assert climb([*flat, 3.3]).rise([0]) == pytest.approx(0.1)


def test_a_loss_near_zero_does_not_rise_by_a_multiple() -> None:
    margins = [-10.0, -0.1] + [-0.1] * (WINDOW - 1) + [0.1]
    assert climb(margins).rise([0]) == pytest.approx(0.2 / 9.9)


def test_the_ascent_that_rises_most_counts() -> None:
    flat, steep = [1.0] * (WINDOW + 1), [1.0] * WINDOW + [2.0]
    assert climb(flat).rise([0]) == 0
    assert climb(flat, steep, flat).rise([0]) == pytest.approx(1)


@pytest.mark.parametrize("losses", [[1.0] * WINDOW, [0.0] * 30, []])
def test_too_few_steps_and_directions_have_no_rise(losses: list[float]) -> None:
    assert climb(losses).rise([0]) is None
    assert climb([1.0] * 30).rise([]) is None


def test_slots_that_have_left_keep_their_best_and_those_that_never_climbed_do_not_count() -> None:
    told = Climb(3)
    for step in range(WINDOW + 2):
        slots = torch.tensor([0, 1] if step < 2 else [1])
        told(step, slots, torch.full((len(slots),), 1.0 + step), torch.zeros(len(slots), dtype=torch.bool))
    assert told.rise([0]) == 0
    assert told.rise([1]) == pytest.approx(10 / 2)
    assert told.rise([2]) is None


def test_what_the_search_took_for_a_win_is_remembered_and_passed_on() -> None:
    steps: list[int] = []
    sightings = Sightings(3, lambda step, *_: steps.append(step))
    assert sightings.read() == [None, None, None]  # nobody looked
    sightings(0, torch.tensor([0, 2]), torch.zeros(2), torch.tensor([False, True]))
    sightings(1, torch.tensor([0, 2]), torch.zeros(2), torch.tensor([False, False]))
    assert sightings.read() == [False, False, True]
    assert steps == [0, 1]
