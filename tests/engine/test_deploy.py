"""What an attack sees of a defense: its answers, its calm, its candidates."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robench.api import Candidate, Candidates, ImageRandom, PluginError, Verdict
from robench.engine.deploy import BoundTarget, Deployed, Memo
from robench.engine.seeding import CalmStreams, ImageStreams

CPU = torch.device("cpu")
COUNT, CLASSES = 4, 3
IMAGES = torch.rand(COUNT, 1, 2, 2, generator=torch.Generator().manual_seed(2))


class Choosing(nn.Module):
    """Chooses the class whose level is closest to the image's mean, which it sees through noise."""

    def __init__(self, kind: str = "") -> None:
        super().__init__()
        self.kind = kind

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        found = self.candidates(images, random)
        winner = found.take(found.errors.argmin(1))
        return Verdict(logits=winner.logits, score=winner.error)

    def candidates(self, images: Tensor, random: ImageRandom) -> Candidates:
        level = images.mean((1, 2, 3)) + 0.1 * random.normal() + 0.1 * (random.uniform() - 0.5)
        errors = (level[:, None] - torch.tensor([0.2, 0.5, 0.8])).abs()

        def take(choice: Tensor) -> Candidate:
            logits = nn.functional.one_hot(choice, CLASSES).float() + level[:, None]
            return Candidate(images=images, logits=logits, error=errors.gather(1, choice[:, None])[:, 0])

        if self.kind == "wrong type":
            return errors  # type: ignore[return-value]
        return Candidates(errors=errors[:, :2] if self.kind == "wrong shape" else errors, take=take)


def target(
    *, kind: str = "", selecting: bool = True, labels: Tensor | None = None, memo: Memo | None = None
) -> BoundTarget:
    module = Choosing(kind)
    deployed = Deployed(
        name="chooser",
        module=module,
        classifier=module,
        classes=CLASSES,
        threshold=0.2,
        stochastic=True,
        selecting=selecting,
    )
    return BoundTarget(deployed, ImageStreams(range(COUNT), CPU, "attack"), labels, memo=memo)


def test_calm_draws_are_the_means_of_their_distributions() -> None:
    calm = CalmStreams(ImageStreams(range(COUNT), CPU, "any"))
    assert torch.equal(calm.normal(2, 3), torch.zeros(COUNT, 2, 3))
    assert torch.equal(calm.uniform(5), torch.full((COUNT, 5), 0.5))


def test_a_calm_target_answers_the_same_again_and_without_noise() -> None:
    noisy = target()
    assert not torch.equal(noisy.verdict(IMAGES).logits, noisy.verdict(IMAGES).logits)
    calm = noisy.calm()
    first, second = calm.verdict(IMAGES), calm.verdict(IMAGES)
    assert torch.equal(first.logits, second.logits)
    nearest = (IMAGES.mean((1, 2, 3))[:, None] - torch.tensor([0.2, 0.5, 0.8])).abs()
    assert first.score is not None
    torch.testing.assert_close(first.score, nearest.amin(1))
    assert (calm.classes, calm.threshold, calm.stochastic, calm.selecting) == (3, 0.2, True, True)


def test_calm_and_a_choice_of_rows_may_come_in_either_order() -> None:
    rows = torch.tensor([3, 0, 3])
    one = target().calm().select(rows).verdict(IMAGES[rows])
    other = target().select(rows).calm().verdict(IMAGES[rows])
    assert torch.equal(one.logits, other.logits)
    assert torch.equal(one.logits[0], one.logits[2])


def test_rows_of_one_image_share_its_draws_and_its_candidates() -> None:
    rows = torch.tensor([1, 1, 2])
    found = target().select(rows).candidates(IMAGES[rows])
    whole = target().candidates(IMAGES)
    assert torch.equal(found.errors, whole.errors[rows])


def test_candidates_show_what_the_answer_is_chosen_from() -> None:
    found, verdict = target().candidates(IMAGES), target().verdict(IMAGES)
    winner = found.take(found.errors.argmin(1))
    assert torch.equal(winner.logits, verdict.logits)
    assert verdict.score is not None
    assert torch.equal(winner.error, verdict.score)
    assert not found.errors.requires_grad


@pytest.mark.parametrize(
    ("kind", "selecting", "complaint"),
    [
        ("", False, "defense chooser does not show what it chooses from; use an attack that does not need"),
        ("wrong type", True, r"its candidates are Tensor; return robench.api.Candidates with errors of shape \(N, 3\)"),
        ("wrong shape", True, r"its candidates are Candidates; return .* of shape \(N, 3\)"),
    ],
)
def test_a_defense_that_does_not_show_its_candidates_is_named(kind: str, selecting: bool, complaint: str) -> None:
    with pytest.raises(PluginError, match=complaint):
        target(kind=kind, selecting=selecting).candidates(IMAGES)


def test_only_the_candidate_that_is_chosen_counts_as_an_answer() -> None:
    memo = Memo()
    labels = torch.full((COUNT,), 2)
    asked = target(labels=labels, memo=memo).calm()
    errors = asked.candidates(IMAGES).errors
    chosen = errors.argmin(1)
    accepted = errors.amin(1) <= 0.2
    found = asked.candidates(IMAGES)
    found.take((chosen + 1) % CLASSES)
    hits = memo.take()
    assert hits is not None
    assert not bool(hits.any())
    found.take(chosen)
    hits = memo.take()
    assert hits is not None
    assert torch.equal(hits, (chosen != 2) & accepted)
    assert memo.take() is None
    assert memo.queries == 2 * COUNT


@pytest.mark.parametrize(
    ("goal", "expected"), [("wrong", [False, True, False, False]), ("rejected", [False, False, True, True])]
)
def test_a_goal_is_an_accepted_wrong_class_or_a_rejection(goal: str, expected: list[bool]) -> None:
    module = Choosing()
    deployed = Deployed(name="any", module=module, classifier=module, classes=2, threshold=0.5, stochastic=False)
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    score = torch.tensor([0.5, 0.5, 0.6, 0.6])
    reached = deployed.reaches(goal, logits, score, torch.zeros(4, dtype=torch.int64))  # type: ignore[arg-type]
    assert reached.tolist() == expected
