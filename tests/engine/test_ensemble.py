"""The worst case per image over several attacks, found without attacking at every epsilon."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch

from robench.api import PluginError, UsageError
from robench.api.records import ImageOutcome, Outcome
from robench.engine.ensemble import FINAL_DRAWS, MemberError, WorstCase, find_worst_case
from robench.engine.foresight import LOOKS
from robench.engine.runner import Attacked
from robench.errors import RobenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from robench.api import Goal
    from robench.engine.plan import Assault
    from robench.engine.prepare import Prepared
    from robench.engine.runner import Runner

EPSILONS = [f"0.{number:02}" for number in range(1, 31)]
NEVER = 9.0


def attack(name: str, goal: Goal) -> Assault:
    return cast("Assault", SimpleNamespace(name=name, form="minimal" if name == "closest" else "sweep", goal=goal))


def outcome(position: int, kind: Outcome, *, score: float, draws: int = 1, wrong: int | None = None) -> ImageOutcome:
    return ImageOutcome(
        position=position,
        image=position,
        label=0,
        prediction=int(kind is Outcome.WRONG),
        outcome=kind,
        score=score,
        draws=draws,
        draws_wrong=draws * (kind is Outcome.WRONG) if wrong is None else wrong,
        draws_rejected=draws * (kind is Outcome.REJECTED),
    )


class Oracle:
    """Knows from which epsilon on each attack fools each image, and remembers what it is asked.

    Where an attack does not win the image ends rejected. An example is a picture of its epsilon.

    Attributes:
        seen: How far the boundary seems to be from each image; by default nothing is seen.
    """

    def __init__(
        self,
        critical: dict[str, list[float]],
        *,
        wrong: Sequence[int] = (),
        error: BaseException | None = None,
        seen: Sequence[float] | None = None,
    ) -> None:
        self.critical, self.wrong, self.error, self.seen = critical, wrong, error, seen
        self.asked: list[tuple[str, int, str]] = []
        self.judged: list[tuple[str, list[int], int]] = []

    def attack(
        self,
        prepared: object,
        assault: Assault | None,
        positions: Sequence[int],
        epsilons: Sequence[tuple[str, ...]],
    ) -> Attacked:
        if assault is not None and self.error is not None and assault.name not in self.critical:
            raise self.error
        outcomes = [
            tuple(self._outcome(assault, position, epsilon) for epsilon in own)
            for position, own in zip(positions, epsilons, strict=True)
        ]
        examples = torch.tensor([[float(epsilon) for epsilon in own] for own in epsilons])[..., None, None, None]
        return Attacked(outcomes=tuple(outcomes), examples=examples, queries=3 * len(positions))

    def distances(self, prepared: object, positions: Sequence[int]) -> list[float]:
        if self.seen is None:
            message = "no gradient passes"
            raise RuntimeError(message)
        return [self.seen[position] for position in positions]

    def _outcome(self, assault: Assault | None, position: int, epsilon: str) -> ImageOutcome:
        won = position in self.wrong
        if assault is not None:
            self.asked.append((assault.name, position, epsilon))
            won = float(epsilon) >= self.critical[assault.name][position]
        kind = Outcome.WRONG if won else Outcome.REJECTED if assault else Outcome.CORRECT
        return outcome(position, kind, score=float(epsilon))

    def judge(
        self, prepared: object, purpose: str, positions: Sequence[int], examples: Tensor, *, draws: int
    ) -> tuple[ImageOutcome, ...]:
        self.judged.append((purpose, list(positions), draws))
        return tuple(
            outcome(position, Outcome.CORRECT, score=float(example), draws=draws, wrong=3)
            for position, example in zip(positions, examples.flatten(), strict=True)
        )


def search(
    oracle: Oracle,
    *attacks: str,
    count: int,
    stochastic: bool = False,
    differentiable: bool = True,
    threshold: float | None = None,
    goal: Goal = "wrong",
) -> WorstCase:
    deployed = SimpleNamespace(stochastic=stochastic, differentiable=differentiable, threshold=threshold)
    return find_worst_case(
        cast("Runner", oracle),
        cast("Prepared", SimpleNamespace(deployed=deployed)),
        [attack(name, goal) for name in attacks],
        range(count),
        EPSILONS,
        purpose="adaptive",
        goal=goal,
    )


@pytest.mark.parametrize("critical", [[0.005, 0.01, 0.075, 0.15, 0.3, NEVER], [NEVER], [0.0]])
def test_an_image_is_lost_from_its_critical_epsilon_on(critical: list[float]) -> None:
    oracle = Oracle({"pgd": critical})
    found = search(oracle, "pgd", count=len(critical))
    for epsilon in EPSILONS:
        outcomes = found.outcomes[epsilon]
        assert [item.position for item in outcomes] == list(range(len(critical)))
        assert [item.outcome is Outcome.WRONG for item in outcomes] == [float(epsilon) >= edge for edge in critical]
    assert len(oracle.asked) <= 5 * len(critical)


def test_every_outcome_is_of_an_example_inside_the_ball() -> None:
    found = search(Oracle({"pgd": [0.125, NEVER, 0.02]}), "pgd", count=3)
    for epsilon, outcomes in found.outcomes.items():
        assert all(item.score is not None and item.score <= float(epsilon) for item in outcomes)


def test_the_examples_are_those_that_were_judged() -> None:
    found = search(Oracle({"pgd": [0.125, NEVER, 0.02]}), "pgd", count=3)
    for epsilon, outcomes in found.outcomes.items():
        assert found.examples[epsilon].flatten().tolist() == pytest.approx([item.score for item in outcomes])


def test_the_best_of_several_attacks_counts_and_the_later_ones_only_try_to_do_better() -> None:
    critical = {"fgsm": [0.2, NEVER, 0.05], "pgd": [0.1, 0.25, 0.15]}
    together = Oracle(critical)
    found = search(together, "fgsm", "pgd", count=3)
    for epsilon in EPSILONS:
        lost = [item.outcome is Outcome.WRONG for item in found.outcomes[epsilon]]
        assert lost == [min(edges) <= float(epsilon) for edges in zip(*critical.values(), strict=True)]
    assert all(float(epsilon) < 0.2 for name, image, epsilon in together.asked if (name, image) == ("pgd", 0))
    alone = Oracle(critical)
    search(alone, "fgsm", count=3)
    search(alone, "pgd", count=3)
    assert len(together.asked) < len(alone.asked)


CRITICAL = [0.005, 0.045, 0.105, 0.155, 0.2, 0.295, NEVER]


def lost(found: WorstCase, image: int) -> list[bool]:
    return [found.outcomes[epsilon][image].outcome is Outcome.WRONG for epsilon in EPSILONS]


def test_where_the_boundary_is_seen_it_is_found_sooner() -> None:
    seen = Oracle({"pgd": CRITICAL}, seen=[1.1 * edge for edge in CRITICAL])
    found = search(seen, "pgd", count=len(CRITICAL))
    for image, edge in enumerate(CRITICAL):
        assert lost(found, image) == [float(epsilon) >= edge for epsilon in EPSILONS]
    blind = Oracle({"pgd": CRITICAL})
    search(blind, "pgd", count=len(CRITICAL))
    assert len(seen.asked) < 0.65 * len(blind.asked)
    told = sum(work.queries for work in found.works["pgd"].values())
    assert told == 3 * len(seen.asked) + LOOKS * len(CRITICAL)


@pytest.mark.parametrize("factor", [0.01, 0.3, 3.0, 100.0])
def test_who_sees_wrongly_finds_the_same_a_little_later(factor: float) -> None:
    misled = Oracle({"pgd": CRITICAL}, seen=[factor * edge for edge in CRITICAL])
    found = search(misled, "pgd", count=len(CRITICAL))
    for image, edge in enumerate(CRITICAL):
        assert lost(found, image) == [float(epsilon) >= edge for epsilon in EPSILONS]
        assert sum(asked == image for _, asked, _ in misled.asked) <= 9


@pytest.mark.parametrize(
    "form", [{"stochastic": True}, {"differentiable": False}, {"threshold": 0.1}, {"goal": "rejected"}]
)
def test_what_says_nothing_of_wins_is_not_looked_at(form: dict[str, Any]) -> None:
    plain, seeing = (Oracle({"pgd": CRITICAL}, seen=seen) for seen in (None, [0.01] * len(CRITICAL)))
    for oracle in (plain, seeing):
        search(oracle, "pgd", count=len(CRITICAL), **form)
    assert seeing.asked == plain.asked


def test_each_of_several_attacks_is_first_asked_whether_it_does_better_at_all() -> None:
    oracle = Oracle({"cheap": [0.2, 0.2, NEVER], "dear": [0.2, 0.11, NEVER]})
    found = search(oracle, "cheap", "dear", count=3)
    asked = {
        image: [epsilon for name, own, epsilon in oracle.asked if (name, own) == ("dear", image)] for image in range(3)
    }
    assert {epsilon for name, _, epsilon in oracle.asked[:3]} == {"0.30"}
    assert asked[0] == ["0.19"]
    assert asked[1][0] == "0.19"
    assert asked[2] == ["0.30"]
    assert lost(found, 1) == [float(epsilon) >= 0.11 for epsilon in EPSILONS]


def test_of_a_stochastic_defense_later_attacks_go_all_the_way_down() -> None:
    oracle = Oracle({"cheap": [0.2], "dear": [0.2]})
    search(oracle, "cheap", "dear", count=1, stochastic=True)
    assert len([name for name, _, _ in oracle.asked if name == "dear"]) > 3


def test_attacks_run_one_after_the_other_and_only_on_images_that_still_stand() -> None:
    oracle = Oracle({"cheap": [0.01, 0.01, NEVER], "dear": [0.01, 0.01, 0.2]})
    found = search(oracle, "cheap", "dear", count=3)
    names = [name for name, _, _ in oracle.asked]
    assert names == sorted(names)
    assert {image for name, image, _ in oracle.asked if name == "dear"} == {2}
    tried = {item.position for work in found.works["dear"].values() for item in work.outcomes}
    assert tried == {2}


def test_what_each_attack_did_is_told_with_its_queries() -> None:
    oracle = Oracle({"fgsm": [0.2, NEVER, 0.05], "pgd": [0.1, 0.25, 0.15]})
    found = search(oracle, "fgsm", "pgd", count=3)
    for name, works in found.works.items():
        told = {(name, item.position, epsilon) for epsilon, work in works.items() for item in work.outcomes}
        asked = {item for item in oracle.asked if item[0] == name}
        assert told == asked
        assert sum(work.queries for work in works.values()) == 3 * len(asked)


def test_a_minimal_attack_is_run_once_and_answers_for_every_epsilon() -> None:
    oracle = Oracle({"fgsm": [0.2, NEVER, 0.01, NEVER], "closest": [0.105, 0.25, 0.01, NEVER]})
    found = search(oracle, "fgsm", "closest", count=4)
    for epsilon in EPSILONS:
        lost = [item.outcome is Outcome.WRONG for item in found.outcomes[epsilon]]
        assert lost == [float(epsilon) >= edge for edge in (0.105, 0.25, 0.01, NEVER)]
    asked = [(image, epsilon) for name, image, epsilon in oracle.asked if name == "closest"]
    assert asked == [(image, epsilon) for image in (0, 1, 3) for epsilon in EPSILONS]
    works = found.works["closest"]
    assert sum(work.queries for work in works.values()) == 3 * 3
    # Where a cheaper attack had won, or itself at a smaller epsilon, it has nothing to add.
    assert [len(works[epsilon].outcomes) for epsilon in ("0.10", "0.11", "0.12", "0.25", "0.26")] == [3, 3, 2, 2, 1]


def test_an_image_that_is_wrong_by_itself_is_not_attacked() -> None:
    oracle = Oracle({"pgd": [NEVER, NEVER]}, wrong=[0])
    found = search(oracle, "pgd", count=2)
    assert all(outcomes[0].outcome is Outcome.WRONG for outcomes in found.outcomes.values())
    assert len(oracle.asked) == 5
    assert found.examples["0.30"][0].item() == 0


def test_an_attack_that_wants_rejections_counts_them_as_wins() -> None:
    oracle = Oracle({"max-score": [NEVER, 0.01]})  # where it does not fool, the image is rejected
    found = search(oracle, "max-score", count=2, goal="rejected")
    kinds = {epsilon: [item.outcome for item in outcomes] for epsilon, outcomes in found.outcomes.items()}
    assert all(first is Outcome.REJECTED for first, _ in kinds.values())
    assert all(second is not Outcome.REJECTED for _, second in kinds.values())


def test_a_stochastic_defense_judges_what_was_chosen_again_on_fresh_draws() -> None:
    oracle = Oracle({"pgd": [0.1, NEVER]})
    found = search(oracle, "pgd", count=2, stochastic=True)
    (again,) = oracle.judged
    assert (again[0], again[2]) == ("adaptive", FINAL_DRAWS)
    assert all(item.draws == FINAL_DRAWS for outcomes in found.outcomes.values() for item in outcomes)
    assert not any(item.outcome is Outcome.WRONG for outcomes in found.outcomes.values() for item in outcomes)
    # One example often counts at several epsilons, and is judged once.
    assert len(again[1]) == len({(item.position, item.score) for own in found.outcomes.values() for item in own})


def test_a_deterministic_defense_is_not_asked_again() -> None:
    oracle = Oracle({"pgd": [0.1]})
    search(oracle, "pgd", count=1)
    assert oracle.judged == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PluginError("left the ball", "project"), "attack dear: left the ball; project"),
        (ZeroDivisionError("by zero"), "attack dear: ZeroDivisionError: by zero"),
    ],
)
def test_the_attack_that_fails_is_named(error: Exception, reason: str) -> None:
    with pytest.raises(MemberError) as caught:
        search(Oracle({"cheap": [NEVER]}, error=error), "cheap", "dear", count=1)
    assert caught.value.member == "dear"
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("error", [UsageError("pgd: steps is 0"), RobenchError("disk full"), KeyboardInterrupt()])
def test_what_is_not_the_attacks_fault_is_passed_on(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        search(Oracle({"cheap": [NEVER]}, error=error), "cheap", "dear", count=1)
    assert caught.value is error
