"""Gradient ascent: shared work, compaction and restarts change nothing but the time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from robench.api import ImageRandom, PluginError, Target, Verdict
from robench.engine.ascent import GradientAscent
from robench.engine.deploy import Deployed
from robench.engine.seeding import ImageStreams

CPU = torch.device("cpu")
COUNT = 6
ANY = ImageStreams(range(COUNT), CPU, "any")


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


def fooled(deployed: Deployed, streams: ImageRandom, images: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        verdict = deployed.verdict(images, streams)
    return deployed.reaches("wrong", verdict.logits, verdict.score, labels)


def ascent(
    deployed: Deployed,
    images: Tensor,
    labels: Tensor,
    epsilons: Tensor,
    *,
    rows: int = 100,
    ids: list[int] | None = None,
) -> GradientAscent:
    numbers = ids or list(range(len(images)))

    def confirm(found: Tensor, owners: Tensor, stage: int, step: int) -> Tensor:
        streams = ImageStreams([numbers[owner] for owner in owners.tolist()], CPU, "confirm", stage, step)
        return fooled(deployed, streams, found, labels[owners]).float()

    streams = ImageStreams(numbers, CPU, "attack")
    return GradientAscent(deployed, streams, images, labels, epsilons, rows=rows, keep="last", confirm=confirm)


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
    ascent(deployed, images, labels, grid(0.5))(cross_entropy, steps=40, relative_step=0.01, keep="first-win")
    rows = deployed.module.rows
    assert isinstance(rows, list)
    assert len(rows) < 2 * 41
    assert min(rows) < COUNT


def test_the_iterate_that_won_is_kept_and_the_defense_confirms_it() -> None:
    deployed, images, labels = setting(noise=0.0)
    options = {"steps": 12, "relative_step": 0.4}
    last = ascent(deployed, images, labels, grid(0.1))(cross_entropy, **options)  # type: ignore[arg-type]
    first = ascent(deployed, images, labels, grid(0.1))(cross_entropy, **options, keep="first-win")  # type: ignore[arg-type]

    before, after = (fooled(deployed, ANY, found[:, 0], labels) for found in (first, last))
    assert bool((before | ~after).all())
    assert bool(before.any())
    assert not torch.equal(first, last)


def test_what_the_search_takes_for_a_win_counts_only_if_it_is_confirmed() -> None:
    deployed, images, labels = setting(noise=0.0)
    asked: list[int] = []

    def refuse(found: Tensor, owners: Tensor, stage: int, step: int) -> Tensor:
        asked.append(len(found))
        return torch.zeros(len(found))

    streams = ImageStreams(range(COUNT), CPU, "attack")
    stubborn = GradientAscent(deployed, streams, images, labels, grid(0.5), rows=100, keep="first-win", confirm=refuse)
    found = stubborn(cross_entropy, steps=5, relative_step=0.5)
    last = ascent(deployed, images, labels, grid(0.5))(cross_entropy, steps=5, relative_step=0.5)
    assert sum(asked) > COUNT
    torch.testing.assert_close(found, last)


def test_of_several_restarts_the_first_that_wins_counts() -> None:
    deployed, images, labels = setting(noise=0.0)
    options = {"steps": 2, "relative_step": 0.25, "random_start": True}

    def wins(restarts: int) -> Tensor:
        found = ascent(deployed, images, labels, grid(0.06))(cross_entropy, restarts=restarts, **options)  # type: ignore[arg-type]
        return fooled(deployed, ANY, found[:, 0], labels)

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
        ("cross-entropy", "the objective to ascend is 'cross-entropy'; it must be a function"),
        (lambda target, images, labels: 1.0, r"is float; it must be a tensor .* of shape \(6,\)"),
        (lambda target, images, labels: images.sum(), r"is \(\); it must be a tensor .* of shape \(6,\)"),
        (lambda target, images, labels: labels.float(), "has no gradient; it must depend on the images"),
    ],
)
def test_a_loss_that_cannot_be_climbed_is_refused_by_name(loss: object, complaint: str) -> None:
    deployed, images, labels = setting()
    with pytest.raises(PluginError, match=complaint):
        ascent(deployed, images, labels, grid(0.1))(loss, steps=1, relative_step=1.0)  # type: ignore[arg-type]


def test_a_start_is_moved_into_the_ball_first() -> None:
    deployed, images, labels = setting(noise=0.0)
    epsilons = grid(0.05, 0.1)
    start = torch.full((COUNT, 2, 1, 4, 4), 7.0)
    seen: list[Tensor] = []

    def loss(target: Target, images: Tensor, labels: Tensor) -> Tensor:
        seen.append(images.detach().clone())
        return cross_entropy(target, images, labels)

    ascent(deployed, images, labels, epsilons)(loss, steps=1, relative_step=0.1, start=start)
    expected = (images[:, None] + epsilons.float().view(COUNT, 2, 1, 1, 1)).clamp(max=1)
    torch.testing.assert_close(seen[0].view_as(expected), expected)


def test_the_objective_is_told_what_belongs_to_each_slot() -> None:
    deployed, images, labels = setting(noise=0.0)
    epsilons = grid(0.05, 0.1, 0.2)
    names = torch.arange(COUNT * 3).view(COUNT, 3)

    def loss(target: Target, rows: Tensor, labels: Tensor, own: Tensor) -> Tensor:
        originals = images[own.div(3, rounding_mode="floor")]
        assert bool(((rows - originals).abs().flatten(1).amax(1) <= epsilons.flatten()[own] + 1e-6).all())
        return cross_entropy(target, rows, labels)

    for keep in ("last", "first-win"):
        ascend = ascent(deployed, images, labels, epsilons, rows=4)
        ascend(loss, steps=4, relative_step=0.5, given=(names,), keep=keep)


def test_a_direction_is_gone_along_by_its_sign() -> None:
    deployed, images, labels = setting(noise=0.0)

    def direction(target: Target, images: Tensor, labels: Tensor) -> Tensor:
        signs = torch.ones_like(images)
        signs[..., 0] = -1e-3
        return signs

    found = ascent(deployed, images, labels, grid(0.1))(direction, steps=1, relative_step=0.5)
    moved = (found[:, 0] - images).clamp(-0.05, 0.05)
    assert bool((moved[..., 0] <= 0).all())
    assert bool((moved[..., 1:] >= 0).all())
    torch.testing.assert_close(moved.abs().amax(), torch.tensor(0.05))


def test_steps_shrink_from_the_first_to_the_last_size() -> None:
    deployed, images, labels = setting(noise=0.0)
    images = torch.full_like(images, 0.5)
    seen: list[Tensor] = []

    def upwards(target: Target, images: Tensor, labels: Tensor) -> Tensor:
        seen.append(images.detach().clone())
        return torch.ones_like(images)

    last = ascent(deployed, images, labels, grid(0.2))(upwards, steps=3, relative_step=(0.4, 0.1))
    sizes = torch.stack([*seen, last[:, 0]]).diff(dim=0).amax((1, 2, 3, 4))
    torch.testing.assert_close(sizes, torch.tensor([0.08, 0.04, 0.02]), atol=1e-6, rtol=0)


def test_samples_average_over_as_many_draws() -> None:
    deployed, images, labels = setting(noise=0.5)
    asked: list[Tensor] = []

    def loss(target: Target, images: Tensor, labels: Tensor) -> Tensor:
        verdict = target.verdict(images)
        asked.append(verdict.logits.detach())
        return functional.cross_entropy(verdict.logits, labels, reduction="none")

    ascend = ascent(deployed, images, labels, grid(0.1))
    ascend(loss, steps=1, relative_step=1.0, samples=5)
    assert len(asked) == 5
    assert not torch.equal(asked[0], asked[1])
    assert ascend.memo.queries == 5 * COUNT


def test_slots_that_have_won_before_are_not_attacked_again() -> None:
    deployed, images, labels = setting(noise=0.0)
    ascend = ascent(deployed, images, labels, grid(0.02, 0.5))
    options = {"steps": 10, "relative_step": 0.2, "keep": "first-win"}
    first = ascend(cross_entropy, **options)  # type: ignore[arg-type]
    won = ~ascend.trial.standing
    assert 0 < int(won.sum()) < won.numel()
    deployed.module.rows.clear()  # type: ignore[operator, union-attr]
    second = ascend(cross_entropy, random_start=True, **options)  # type: ignore[arg-type]
    assert torch.equal(second[won], first[won])
    assert max(deployed.module.rows) <= int((~won).sum())  # type: ignore[arg-type]
