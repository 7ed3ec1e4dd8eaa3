"""Random streams per image."""

from __future__ import annotations

import numpy as np
import torch

from robench.engine.seeding import ImageStreams, derive_seed, image_order, isolated_default_generator

CPU = torch.device("cpu")


def test_an_image_draws_the_same_whatever_batch_it_is_in() -> None:
    together = ImageStreams([3, 7, 9], CPU, "judge", 0)
    alone = ImageStreams([7], CPU, "judge", 0)
    for _ in range(3):
        assert torch.equal(together.normal(4, 5)[1], alone.normal(4, 5)[0])
        assert torch.equal(together.uniform(2)[1], alone.uniform(2)[0])


def test_purposes_seeds_and_images_have_streams_of_their_own() -> None:
    draws = [
        ImageStreams([image], CPU, purpose, seed).normal(8)
        for image in (0, 1)
        for purpose in ("attack", "judge")
        for seed in (0, 1)
    ]
    for index, draw in enumerate(draws):
        assert not any(torch.equal(draw, other) for other in draws[index + 1 :])


def test_draws_have_the_promised_distribution_and_type() -> None:
    streams = ImageStreams(range(50), CPU, "test")
    normal, uniform = streams.normal(1000), streams.uniform(1000)
    assert normal.dtype == uniform.dtype == torch.float32
    assert abs(float(normal.mean())) < 0.02
    assert abs(float(normal.std()) - 1) < 0.02
    assert 0 <= float(uniform.min()) <= float(uniform.max()) < 1
    assert abs(float(uniform.mean()) - 0.5) < 0.01


def test_streams_are_pinned_across_releases() -> None:
    # Stored results rely on these; a change of them is a change of every stochastic result.
    assert derive_seed("judge", 0) == 4745585077878089905
    drawn = ImageStreams([5], CPU, "judge", 0).normal(3)[0]
    np.testing.assert_allclose(drawn.numpy(), [-1.556566, -0.133653, -1.279606], atol=1e-6)


def test_a_longer_run_begins_with_the_images_of_a_shorter_one() -> None:
    order = image_order(0, 1000)
    assert sorted(order.tolist()) == list(range(1000))
    assert not np.array_equal(order, np.arange(1000))
    assert np.array_equal(order, image_order(0, 1000))
    assert not np.array_equal(order, image_order(1, 1000))


def test_the_default_generator_is_put_back() -> None:
    torch.manual_seed(1)
    expected = torch.random.get_rng_state()
    with isolated_default_generator():
        torch.manual_seed(2)
        torch.rand(3)
    assert torch.equal(torch.random.get_rng_state(), expected)
