"""Random streams per image."""

from __future__ import annotations

import numpy as np
import torch

from robench.engine.seeding import (
    ImageStreams,
    SelectedStreams,
    SharedDraws,
    derive_seed,
    image_order,
    isolated_default_generator,
)

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
    np.testing.assert_allclose(drawn.numpy(), [1.717757, 0.665109, -2.159524], atol=1e-6)


def test_draws_made_ahead_are_those_made_one_by_one() -> None:
    from numpy.random import Generator, Philox

    ahead = ImageStreams([5], CPU, "judge", 0)
    drawn = torch.cat([ahead.normal(3)[0] for _ in range(40)])
    stream = Generator(Philox(key=[derive_seed("judge", 0, "normal", 3), 5]))
    one_by_one = np.concatenate([stream.standard_normal(3, dtype=np.float32) for _ in range(40)])
    np.testing.assert_array_equal(drawn.numpy(), one_by_one)


def test_kinds_and_shapes_of_draws_do_not_disturb_each_other() -> None:
    mixed, pure = ImageStreams([1, 2], CPU, "judge"), ImageStreams([1, 2], CPU, "judge")
    for _ in range(5):
        mixed.uniform(4)
        mixed.normal(2, 2)
        assert torch.equal(mixed.normal(4), pure.normal(4))


def test_shared_draws_come_again_until_they_are_renewed() -> None:
    shared = SharedDraws(ImageStreams([1, 2], CPU, "attack"))
    plain = ImageStreams([1, 2], CPU, "attack")
    for _ in range(3):
        first, second = shared.normal(3), shared.normal(3)
        assert torch.equal(first, plain.normal(3))
        assert torch.equal(second, plain.normal(3))
        shared.again()
        assert torch.equal(shared.normal(3), first)
        assert torch.equal(shared.normal(3), second)
        shared.renew()


def test_selected_streams_give_every_row_what_its_image_draws() -> None:
    rows = torch.tensor([2, 0, 0])
    selected = SelectedStreams(ImageStreams([4, 5, 6], CPU, "attack"), rows)
    whole = ImageStreams([4, 5, 6], CPU, "attack")
    assert torch.equal(selected.normal(2), whole.normal(2)[rows])
    assert torch.equal(selected.uniform(2), whole.uniform(2)[rows])


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
