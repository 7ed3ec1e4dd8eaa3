"""Where the worst case is looked for first: distances to the boundary, and what is believed because of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch

from robench.engine.balls import BALLS
from robench.engine.foresight import beliefs, boundary_distances, middle

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from robench.api import Norm

GREY = torch.full((4, 1, 2, 3), 0.5)
LABELS = torch.tensor([0, 0, 0, 1])
WEIGHTS = torch.tensor([0.4, -0.2, 0.1, 0.0, 0.3, -0.5])
EPSILONS = [number / 100 for number in range(1, 31)]


def line(*biases: float) -> Callable[[Tensor], Tensor]:
    """Answer with two logits whose difference is linear in the image."""
    lift = torch.tensor(biases)

    def ask(images: Tensor) -> Tensor:
        margin = (images - 0.5).flatten(1) @ WEIGHTS + lift
        return torch.stack([margin, torch.zeros_like(margin)], dim=1)

    return ask


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2)])
def test_the_boundary_of_a_linear_defense_is_where_it_is(norm: Norm, dual: int) -> None:
    biases = (0.15, 0.03, -0.1, 0.2)  # the third is wrong by itself, and so is the last, whose class is the other
    found = boundary_distances(line(*biases), GREY, LABELS, BALLS[norm])
    length = float(torch.linalg.vector_norm(WEIGHTS, ord=dual))
    assert found.tolist() == pytest.approx([0.15 / length, 0.03 / length, 0, 0], abs=1e-6)


def test_a_curved_boundary_is_followed() -> None:
    def ask(images: Tensor) -> Tensor:
        margin = (-5 * (images - 0.5).mean((1, 2, 3))).exp() - math.exp(-1.5)  # wins where the mean has risen by 0.3
        return torch.stack([margin, torch.zeros_like(margin)], dim=1)

    (found,) = boundary_distances(ask, GREY[:1], LABELS[:1], BALLS["linf"]).tolist()
    assert found == pytest.approx(0.3, rel=0.05)  # the first gradient says 0.155


def test_where_no_gradient_leads_anywhere_the_boundary_is_too_far() -> None:
    def ask(images: Tensor) -> Tensor:
        flat = images.sum((1, 2, 3)) * 0
        return torch.stack([flat + 1, flat], dim=1)

    for ball in BALLS.values():
        found = boundary_distances(ask, GREY, torch.zeros(4, dtype=torch.int64), ball)
        assert bool((found >= ball.diameter(6)).all())
        assert bool(found.isfinite().all())


def test_belief_is_shared_out_among_all_epsilons_and_none_of_them() -> None:
    for distance in (1e-9, 0.004, 0.1, 0.29, 5.0):
        believed = beliefs(distance, EPSILONS)
        assert len(believed) == len(EPSILONS) + 1
        assert min(believed) > 0
        assert sum(believed) == pytest.approx(1)


@pytest.mark.parametrize(("distance", "place"), [(0.1, 9), (0.2, 19), (1e-9, 0), (5.0, 30)])
def test_most_is_believed_of_the_epsilons_near_the_distance(distance: float, place: int) -> None:
    believed = beliefs(distance, EPSILONS)
    assert max(range(len(believed)), key=believed.__getitem__) == pytest.approx(place, abs=1)
    assert middle(believed) == pytest.approx(min(place, 29), abs=1)


@pytest.mark.parametrize("distance", [0.0, math.inf, math.nan])
def test_who_knows_nothing_believes_everything_alike(distance: float) -> None:
    assert beliefs(distance, EPSILONS) == [1.0] * 31


@pytest.mark.parametrize("count", range(2, 12))
def test_even_beliefs_are_halved_by_number(count: int) -> None:
    assert middle([1.0] * count) == count // 2 - 1


def test_what_is_nearly_certain_is_asked_about_first() -> None:
    assert middle([0.1, 0.1, 0.1, 0.3]) == 2
    assert middle([0.1, 0.5, 0.1, 0.1]) in {0, 1}
