"""Balls of both norms: distance, projection, steps, draws, and what rounding is forgiven."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from robench.api import NORMS, Norm
from robench.engine.balls import BALLS, within
from robench.engine.seeding import ImageStreams

CPU = torch.device("cpu")
SHAPE = (3, 32, 32)
PIXELS = math.prod(SHAPE)
LIMITS: dict[Norm, tuple[float, ...]] = {"linf": (0.02, 0.3, 1.0), "l2": (0.25, 1.0, 5.0)}


def images(count: int = 6, seed: int = 0) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed))


def streams(count: int) -> ImageStreams:
    return ImageStreams(range(count), CPU, "balls")


def length(offsets: Tensor) -> Tensor:
    return offsets.double().flatten(1).square().sum(1).sqrt()


def test_distances_are_those_of_the_norm() -> None:
    black, other = torch.zeros(1, 1, 2, 2), torch.tensor([[[[0.3, 0.4], [0.0, 0.0]]]])
    assert BALLS["linf"].distance(other, black).item() == pytest.approx(0.4)
    assert BALLS["l2"].distance(other, black).item() == pytest.approx(0.5)
    for norm in NORMS:
        white = torch.ones_like(black)
        assert BALLS[norm].distance(white, black).item() == BALLS[norm].diameter(4)
        assert BALLS[norm].distance(black, black).item() == 0


@pytest.mark.parametrize("norm", NORMS)
def test_what_is_projected_is_inside_and_what_is_inside_stays(norm: Norm) -> None:
    originals, far = images(), 3 * images(seed=1) - 1
    for limit in LIMITS[norm]:
        radius = torch.full((len(far), 1, 1, 1), limit)
        projected = BALLS[norm].project(far, originals, radius)
        assert float(projected.min()) >= 0
        assert float(projected.max()) <= 1
        assert bool(within(norm, projected, originals, radius.flatten().double()).all())
        again = BALLS[norm].project(projected, originals, radius)
        torch.testing.assert_close(again, projected, atol=1e-6, rtol=0)


def test_an_l2_projection_keeps_the_direction() -> None:
    originals = torch.full((2, 1, 4, 4), 0.5)
    offsets = torch.randn(originals.shape, generator=torch.Generator().manual_seed(0))
    projected = BALLS["l2"].project(originals + offsets, originals, torch.full((2, 1, 1, 1), 0.1)) - originals
    torch.testing.assert_close(length(projected), torch.full((2,), 0.1, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(projected / 0.1, offsets / length(offsets).float().view(-1, 1, 1, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1.0, 1e30])
def test_an_l2_step_has_length_one_however_small_or_large_the_gradient(size: float) -> None:
    gradient = size * torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        length(BALLS["l2"].along(gradient.clone())), torch.ones(4, dtype=torch.float64), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("norm", NORMS)
def test_a_zero_gradient_leads_nowhere(norm: Norm) -> None:
    assert float(BALLS[norm].along(torch.zeros(2, *SHAPE)).abs().max()) == 0


@pytest.mark.parametrize("norm", NORMS)
def test_draws_are_inside_the_ball_and_extreme_ones_on_its_border(norm: Norm) -> None:
    nothing = torch.zeros(6, *SHAPE)
    inside = BALLS[norm].distance(BALLS[norm].draw(streams(6), SHAPE), nothing)
    extreme = BALLS[norm].distance(BALLS[norm].draw_extreme(streams(6), SHAPE), nothing)
    assert bool((inside <= 1 + 1e-6).all())
    torch.testing.assert_close(extreme, torch.ones(6, dtype=torch.float64), atol=1e-5, rtol=0)
    assert BALLS[norm].draw(streams(6), (5, *SHAPE)).shape == (6, 5, *SHAPE)


def test_l2_draws_fill_the_ball_evenly() -> None:
    # In d dimensions the d-th power of the radius of a uniform draw is itself uniform.
    radius = BALLS["l2"].draw(ImageStreams(range(4000), CPU, "balls"), (1, 1, 3)).flatten(1).norm(dim=1)
    shares = torch.tensor([float((radius**3 < limit).float().mean()) for limit in (0.25, 0.5, 0.75)])
    torch.testing.assert_close(shares, torch.tensor([0.25, 0.5, 0.75]), atol=0.03, rtol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_rounding_is_forgiven_and_nothing_else(norm: Norm) -> None:
    originals = torch.full((2, *SHAPE), 0.5)
    towards = BALLS[norm].draw_extreme(streams(2), SHAPE)
    for limit in LIMITS[norm][:2]:
        radius = torch.full((2,), limit, dtype=torch.float64)
        assert bool(within(norm, originals + limit * towards, originals, radius).all())
        assert not bool(within(norm, originals + 1.0001 * limit * towards, originals, radius).any())
    assert not bool(within(norm, originals * torch.nan, originals, torch.full((2,), 9.0)).any())
