"""What has been tried: the largest share of draws counts, and a slot that is won on all of them is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from robench.api import PluginError
from robench.engine.trial import BatchTrial

if TYPE_CHECKING:
    from torch import Tensor

IMAGES = torch.tensor([0.1, 0.5, 0.9]).view(3, 1, 1, 1)
EPSILONS = torch.tensor([[0.05, 0.2]] * 3, dtype=torch.float64)


class Judge:
    """Says what share of the draws an image wins, and remembers what it is asked."""

    def __init__(self, share: float = 0.0) -> None:
        self.share = share
        self.images: list[Tensor] = []
        self.owners: list[list[int]] = []
        self.when: list[tuple[int, int]] = []

    def __call__(self, images: Tensor, owners: Tensor, stage: int, step: int) -> Tensor:
        self.images.append(images.clone())
        self.owners.append(owners.tolist())
        self.when.append((stage, step))
        return torch.full((len(images),), self.share)


def filled(value: float) -> Tensor:
    return torch.full((3, 2, 1, 1, 1), value)


@pytest.mark.parametrize(("share", "won"), [(0.0, False), (0.4, False), (0.8, False), (1.0, True)])
def test_a_slot_is_won_for_good_only_on_every_draw(share: float, won: bool) -> None:
    trial = BatchTrial(Judge(share), IMAGES, EPSILONS)
    assert bool((trial.propose(filled(0.5)) == won).all())
    assert bool((trial.standing != won).all())


def test_a_slot_that_has_won_is_not_asked_again_and_keeps_what_won() -> None:
    judge = Judge(1.0)
    trial = BatchTrial(judge, IMAGES, EPSILONS)
    where = torch.tensor([[True, False], [False, False], [False, True]])
    assert torch.equal(trial.propose(IMAGES[:, None].expand(3, 2, 1, 1, 1) + 0.01, where), where)
    won = trial.best[where]
    judge.share = 0.0
    trial.propose(IMAGES[:, None].expand(3, 2, 1, 1, 1) - 0.01)
    assert judge.owners == [[0, 2], [0, 1, 1, 2]]
    assert torch.equal(trial.best[where], won)
    judge.share = 1.0
    trial.propose(filled(0.5))
    trial.propose(filled(0.5))
    assert len(judge.owners) == 3  # nothing stands any more, so nobody is asked
    assert not bool(trial.standing.any())


def test_proposals_are_moved_into_their_balls_and_into_the_unit_interval() -> None:
    judge = Judge()
    trial = BatchTrial(judge, IMAGES, EPSILONS)
    trial.propose(filled(7.0))
    assert judge.images[0].flatten().tolist() == pytest.approx([0.15, 0.3, 0.55, 0.7, 0.95, 1.0])
    trial.propose(filled(-7.0))
    assert judge.images[1].flatten().tolist() == pytest.approx([0.05, 0.0, 0.45, 0.3, 0.85, 0.7])


def test_of_several_losses_what_most_draws_favour_counts_and_of_equals_the_latest() -> None:
    judge = Judge(0.2)
    trial = BatchTrial(judge, IMAGES, EPSILONS)
    trial.propose(IMAGES[:, None].expand(3, 2, 1, 1, 1) + 0.01)
    first = trial.best
    judge.share = 0.0
    trial.propose(IMAGES[:, None].expand(3, 2, 1, 1, 1) + 0.02)
    assert torch.equal(trial.best, first)
    judge.share = 0.2
    trial.propose(IMAGES[:, None].expand(3, 2, 1, 1, 1) + 0.03)
    assert bool((trial.best > first).all())


def test_of_several_starts_of_one_slot_the_best_counts_and_of_equals_the_first() -> None:
    shares = torch.tensor([0.2, 1.0, 1.0, 0.4])

    def confirm(images: Tensor, owners: Tensor, stage: int, step: int) -> Tensor:
        return shares

    trial = BatchTrial(confirm, IMAGES, EPSILONS)
    slots = torch.tensor([1, 1, 1, 2])
    images = torch.tensor([0.11, 0.12, 0.13, 0.51]).view(4, 1, 1, 1)
    assert trial.challenge(images, slots, 0).tolist() == [True, True, True, False]
    assert trial.best.flatten().tolist() == pytest.approx([0.1, 0.12, 0.51, 0.5, 0.9, 0.9])


def test_before_anything_was_tried_the_images_themselves_count() -> None:
    trial = BatchTrial(Judge(), IMAGES, EPSILONS)
    assert torch.equal(trial.best, IMAGES[:, None].expand(3, 2, 1, 1, 1))
    trial.best.zero_()
    assert torch.equal(trial.best, IMAGES[:, None].expand(3, 2, 1, 1, 1))


def test_every_proposal_is_asked_about_at_a_stage_of_its_own() -> None:
    judge = Judge()
    trial = BatchTrial(judge, IMAGES, EPSILONS)
    trial.propose(filled(0.5))
    trial.propose(filled(0.5))
    assert len(set(judge.when)) == 2


def test_a_proposal_of_another_shape_is_refused() -> None:
    with pytest.raises(PluginError, match=r"proposed has shape \(3, 1, 1, 1\); .* shape \(3, 2, 1, 1, 1\)"):
        BatchTrial(Judge(), IMAGES, EPSILONS).propose(IMAGES)
