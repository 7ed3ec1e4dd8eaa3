"""Gradient ascent: shared work, compaction and restarts change nothing but the time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from robench.api import ImageRandom, PluginError, Target, Verdict
from robench.engine.ascent import SignAscent
from robench.engine.deploy import BoundTarget, Deployed
from robench.engine.seeding import ImageStreams

CPU = torch.device("cpu")
COUNT = 6


class Noisy(nn.Module):
    """A linear classifier of noisy images that counts what it is asked."""

    def __init__(self, noise: float = 0.05) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = torch.randn(3, 16, generator=generator)
        self.noise = noise
        self.rows: list[int] = []

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        self.rows.append(len(images))
        noisy = images + self.noise * random.normal(*images.shape[1:])
        return Verdict(logits=(noisy.flatten(1) - 0.5) @ self.weight.T)


def cross_entropy(target: Target, images: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(target.head(images), labels, reduction="none")


def setting(noise: float = 0.05) -> tuple[Deployed, Tensor, Tensor]:
    module = Noisy(noise)
    deployed = Deployed(name="noisy", module=module, classifier=module, classes=3, threshold=None, stochastic=True)
    images = torch.rand(COUNT, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        labels = ((images.flatten(1) - 0.5) @ module.weight.T).argmax(1)
    return deployed, images, labels


def ascent(
    deployed: Deployed,
    images: Tensor,
    labels: Tensor,
    epsilons: Tensor,
    *,
    rows: int = 100,
    ids: list[int] | None = None,
) -> SignAscent:
    numbers = ids or list(range(len(images)))

    def confirm(found: Tensor, owners: Tensor, step: int) -> Tensor:
        streams = ImageStreams([numbers[owner] for owner in owners.tolist()], CPU, "confirm", step)
        target = BoundTarget(deployed, streams)
        with torch.no_grad():
            target.verdict(found)
        return target.fooled(labels[owners])

    streams = ImageStreams(numbers, CPU, "attack")
    return SignAscent(deployed, streams, images, labels, epsilons, rows=rows, keep="last", confirm=confirm)


def grid(*values: float) -> Tensor:
    return torch.tensor([values] * COUNT, dtype=torch.float64)


@pytest.mark.parametrize("keep", ["last", "first-win"])
@pytest.mark.parametrize(("random_start", "restarts"), [(False, 1), (True, 1), (True, 3)])
def test_a_row_does_not_depend_on_other_images_epsilons_or_batches(
    random_start: bool, restarts: int, keep: str
) -> None:
    deployed, images, labels = setting()
    options = {"steps": 7, "relative_step": 0.2, "random_start": random_start, "restarts": restarts, "keep": keep}
    epsilons = (0.02, 0.1, 0.3)
    together = ascent(deployed, images, labels, grid(*epsilons))(cross_entropy, **options)  # type: ignore[arg-type]
    in_parts = ascent(deployed, images, labels, grid(*epsilons), rows=4)(cross_entropy, **options)  # type: ignore[arg-type]
    torch.testing.assert_close(in_parts, together, atol=1e-6, rtol=0)
    for place, epsilon in enumerate(epsilons):
        for number in range(COUNT):
            one = slice(number, number + 1)
            radius = torch.tensor([[epsilon]], dtype=torch.float64)
            alone = ascent(deployed, images[one], labels[one], radius, ids=[number])(cross_entropy, **options)  # type: ignore[arg-type]
            torch.testing.assert_close(alone[0, 0], together[number, place], atol=1e-6, rtol=0)


def test_one_gradient_serves_all_epsilons_of_a_single_step() -> None:
    deployed, images, labels = setting()
    found = ascent(deployed, images, labels, grid(*(0.01 * step for step in range(1, 31))))(
        cross_entropy, steps=1, relative_step=1.0
    )
    assert deployed.module.rows == [COUNT]
    steps = (found - images[:, None]).abs().flatten(2).amax(2)
    assert bool((steps.diff(dim=1) >= 0).all())


def test_images_that_have_won_leave_the_batch() -> None:
    deployed, images, labels = setting(noise=0.0)
    ascent(deployed, images, labels, grid(0.5))(cross_entropy, steps=20, relative_step=0.1, keep="first-win")
    rows = deployed.module.rows
    assert isinstance(rows, list)
    assert len(rows) < 2 * 21
    assert min(rows) < COUNT


def test_the_iterate_that_won_is_kept_and_the_defense_confirms_it() -> None:
    deployed, images, labels = setting(noise=0.0)
    options = {"steps": 12, "relative_step": 0.4}
    last = ascent(deployed, images, labels, grid(0.1))(cross_entropy, **options)  # type: ignore[arg-type]
    first = ascent(deployed, images, labels, grid(0.1))(cross_entropy, **options, keep="first-win")  # type: ignore[arg-type]

    def fooled(found: Tensor) -> Tensor:
        target = BoundTarget(deployed, ImageStreams(range(COUNT), CPU, "any"))
        with torch.no_grad():
            target.verdict(found[:, 0])
        return target.fooled(labels)

    assert bool((fooled(first) | ~fooled(last)).all())
    assert bool(fooled(first).any())
    assert not torch.equal(first, last)


def test_what_the_search_takes_for_a_win_counts_only_if_it_is_confirmed() -> None:
    deployed, images, labels = setting(noise=0.0)
    asked: list[int] = []

    def refuse(found: Tensor, owners: Tensor, step: int) -> Tensor:
        asked.append(len(found))
        return torch.zeros(len(found), dtype=torch.bool)

    streams = ImageStreams(range(COUNT), CPU, "attack")
    stubborn = SignAscent(deployed, streams, images, labels, grid(0.5), rows=100, keep="first-win", confirm=refuse)
    found = stubborn(cross_entropy, steps=5, relative_step=0.5)
    last = ascent(deployed, images, labels, grid(0.5))(cross_entropy, steps=5, relative_step=0.5)
    assert sum(asked) > COUNT
    torch.testing.assert_close(found, last)


def test_of_several_restarts_the_first_that_wins_counts() -> None:
    deployed, images, labels = setting(noise=0.0)
    options = {"steps": 2, "relative_step": 0.25, "random_start": True}

    def wins(restarts: int) -> Tensor:
        found = ascent(deployed, images, labels, grid(0.06))(cross_entropy, restarts=restarts, **options)  # type: ignore[arg-type]
        with torch.no_grad():
            logits = deployed.module(found[:, 0], ImageStreams(range(COUNT), CPU, "any")).logits
        won: Tensor = logits.argmax(1) != labels
        return won

    assert int(wins(30).sum()) >= int(wins(2).sum())
    assert int(wins(30).sum()) > 0


def test_every_row_stays_in_its_ball_and_in_the_unit_interval() -> None:
    deployed, images, labels = setting()
    epsilons = grid(0.03, 0.2, 1.0)
    found = ascent(deployed, images, labels, epsilons)(cross_entropy, steps=9, relative_step=0.7, random_start=True)
    assert bool(((found - images[:, None]).abs().flatten(2).amax(2) <= epsilons + 1e-6).all())
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1


@pytest.mark.parametrize(
    ("loss", "complaint"),
    [
        ("cross-entropy", "the loss to ascend is 'cross-entropy'; it must be a function"),
        (lambda target, images, labels: 1.0, r"is float; it must be a tensor .* of shape \(6,\)"),
        (lambda target, images, labels: images.sum(), r"is \(\); it must be a tensor .* of shape \(6,\)"),
        (lambda target, images, labels: labels.float(), "has no gradient; it must depend on the images"),
    ],
)
def test_a_loss_that_cannot_be_climbed_is_refused_by_name(loss: object, complaint: str) -> None:
    deployed, images, labels = setting()
    with pytest.raises(PluginError, match=complaint):
        ascent(deployed, images, labels, grid(0.1))(loss, steps=1, relative_step=1.0)  # type: ignore[arg-type]
