"""The engine, never the attack, judges."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robench.api import ImageRandom, PluginError, Verdict
from robench.api.records import Outcome
from robench.engine.deploy import Deployed
from robench.engine.judge import check_admissible, judge
from robench.engine.seeding import ImageStreams

CPU = torch.device("cpu")
ORIGINAL = torch.full((2, 1, 2, 2), 0.5)


def admissible(attacked: object, epsilon: float = 0.1) -> Tensor:
    return check_admissible("mine", attacked, ORIGINAL, torch.full((2,), epsilon, dtype=torch.float64))


def test_the_border_of_the_ball_is_admissible_and_rounding_is_forgiven() -> None:
    attacked = ORIGINAL + 0.1
    assert admissible(attacked) is not None
    assert admissible(attacked + 5e-7) is not None


@pytest.mark.parametrize(
    ("attacked", "complaint"),
    [
        (ORIGINAL + 0.10001, "left the Linf ball: 0.10001 away at epsilon 0.1"),
        (ORIGINAL * float("nan"), "8 values that are not finite"),
        (ORIGINAL / 0, "8 values that are not finite"),
        (ORIGINAL.double(), "torch.float64"),
        (ORIGINAL[:1], "returned \\(1, 1, 2, 2\\)"),
        ("images", "returned str"),
        (None, "returned NoneType"),
    ],
)
def test_what_is_inadmissible_is_refused_by_name(attacked: object, complaint: str) -> None:
    with pytest.raises(PluginError, match=complaint):
        admissible(attacked)


@pytest.mark.parametrize("value", [-1e-7, 1 + 1e-6])
def test_images_outside_the_unit_interval_are_refused(value: float) -> None:
    with pytest.raises(PluginError, match="left \\[0, 1\\]"):
        admissible(torch.full_like(ORIGINAL, value), epsilon=1.0)


class Fixed(nn.Module):
    def __init__(self, logits: Tensor, score: Tensor | None) -> None:
        super().__init__()
        self.logits, self.score = logits, score

    def forward(self, images: Tensor) -> Verdict:
        return Verdict(logits=self.logits, score=self.score)


def deployed(logits: Tensor, score: Tensor | None, threshold: float | None) -> Deployed:
    module = Fixed(logits, score)
    return Deployed(name="fixed", module=module, classifier=module, classes=2, threshold=threshold, stochastic=False)


def outcomes(defense: Deployed, labels: list[int]) -> list[Outcome]:
    count = len(labels)
    images = torch.zeros(count, 1, 2, 2)
    judged = judge(
        defense,
        images,
        torch.tensor(labels),
        positions=range(count),
        indices=range(count),
        random=ImageStreams(range(count), CPU, "judge"),
    )
    return [item.outcome for item in judged]


def test_a_rejected_image_is_neither_correct_nor_wrong() -> None:
    logits = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    score = torch.tensor([0.1, 0.1, 0.9, 0.9])
    found = outcomes(deployed(logits, score, 0.5), [0, 1, 0, 1])
    assert found == [Outcome.CORRECT, Outcome.WRONG, Outcome.REJECTED, Outcome.REJECTED]


def test_a_score_at_the_threshold_is_accepted() -> None:
    assert outcomes(deployed(torch.tensor([[1.0, 0.0]]), torch.tensor([0.5]), 0.5), [0]) == [Outcome.CORRECT]


def test_scores_without_a_threshold_reject_nothing() -> None:
    assert outcomes(deployed(torch.tensor([[1.0, 0.0]]), torch.tensor([9.0]), None), [0]) == [Outcome.CORRECT]


@pytest.mark.parametrize(
    ("logits", "score"),
    [
        (torch.tensor([[float("nan"), 0.0]]), None),
        (torch.tensor([[float("inf"), 0.0]]), None),
        (torch.tensor([[1.0, 0.0]]), torch.tensor([float("nan")])),
    ],
)
def test_answers_that_are_not_finite_are_refused(logits: Tensor, score: Tensor | None) -> None:
    with pytest.raises(PluginError, match="fixed answered with values that are not finite"):
        outcomes(deployed(logits, score, None if score is None else 0.5), [0])


class Recorded(nn.Module):
    """Answers one row after the other of a script: a class for each image, or nothing where it rejects."""

    def __init__(self, script: list[list[int | None]]) -> None:
        super().__init__()
        self.script = script
        self.asked = 0

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        row = self.script[self.asked]
        self.asked += 1
        logits = torch.tensor([[float(answer == label) for label in range(2)] for answer in row])
        score = torch.tensor([0.1 * self.asked + (answer is None) for answer in row])
        return Verdict(logits=logits, score=score)


def test_what_most_draws_say_is_the_outcome_and_its_first_answer_speaks_for_it() -> None:
    module = Recorded([[1, 0, None, 1], [0, 1, None, 1], [1, 0, 0, 1], [1, None, 1, 0]])
    defense = Deployed(name="script", module=module, classifier=module, classes=2, threshold=0.9, stochastic=True)
    judged = judge(
        defense,
        torch.zeros(4, 1, 2, 2),
        torch.zeros(4, dtype=torch.int64),
        positions=range(4),
        indices=range(4),
        random=ImageStreams(range(4), CPU, "judge"),
        draws=4,
    )
    assert [item.outcome for item in judged] == [Outcome.WRONG, Outcome.CORRECT, Outcome.REJECTED, Outcome.WRONG]
    assert [(item.draws, item.draws_wrong, item.draws_rejected) for item in judged] == [
        (4, 3, 0),
        (4, 1, 1),
        (4, 1, 2),
        (4, 3, 0),
    ]
    assert all(Outcome.of_draws(item.draws, item.draws_wrong, item.draws_rejected) is item.outcome for item in judged)
    assert [item.prediction for item in judged] == [1, 0, 0, 1]
    assert [item.score for item in judged] == pytest.approx([0.1, 0.1, 1.1, 0.1])
