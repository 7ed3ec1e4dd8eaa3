"""The worst case per image, found without attacking at every epsilon."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from robench.api.records import ImageOutcome, Outcome
from robench.engine.bisection import worst_case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.engine.plan import Assault
    from robench.engine.prepare import Prepared
    from robench.engine.runner import Runner

EPSILONS = [f"0.{number:02}" for number in range(1, 31)]
NEVER = 9.0


class Oracle:
    """Knows from which epsilon on each attack fools each image, and counts how often it is asked."""

    def __init__(self, critical: dict[str, list[float]], *, wrong: Sequence[int] = ()) -> None:
        self.critical, self.wrong, self.asked = critical, wrong, 0

    def outcomes(
        self, prepared: object, assault: object, positions: Sequence[int], epsilons: Sequence[tuple[str, ...]]
    ) -> dict[str, tuple[ImageOutcome, ...]]:
        found: dict[str, list[ImageOutcome]] = {}
        for position, (epsilon,) in zip(positions, epsilons, strict=True):
            won = position in self.wrong
            if assault is not None:
                self.asked += 1
                won = float(epsilon) >= self.critical[cast("str", assault)][position]
            outcome = Outcome.WRONG if won else Outcome.REJECTED if assault else Outcome.CORRECT
            item = ImageOutcome(
                position=position, image=position, label=0, prediction=int(won), outcome=outcome, score=float(epsilon)
            )
            found.setdefault(epsilon, []).append(item)
        return {epsilon: tuple(items) for epsilon, items in found.items()}


def search(oracle: Oracle, *attacks: str, count: int) -> dict[str, tuple[ImageOutcome, ...]]:
    return worst_case(
        cast("Runner", oracle),
        cast("Prepared", None),
        cast("list[Assault]", list(attacks)),
        range(count),
        EPSILONS,
    )


@pytest.mark.parametrize("critical", [[0.005, 0.01, 0.075, 0.15, 0.3, NEVER], [NEVER], [0.0]])
def test_an_image_is_lost_from_its_critical_epsilon_on(critical: list[float]) -> None:
    oracle = Oracle({"pgd": critical})
    found = search(oracle, "pgd", count=len(critical))
    for epsilon in EPSILONS:
        outcomes = found[epsilon]
        assert [item.position for item in outcomes] == list(range(len(critical)))
        assert [item.outcome is Outcome.WRONG for item in outcomes] == [float(epsilon) >= edge for edge in critical]
    assert oracle.asked <= 5 * len(critical)


def test_every_outcome_is_of_an_example_inside_the_ball() -> None:
    found = search(Oracle({"pgd": [0.125, NEVER, 0.02]}), "pgd", count=3)
    for epsilon, outcomes in found.items():
        assert all(item.score is not None and item.score <= float(epsilon) for item in outcomes)


def test_the_best_of_several_attacks_counts_and_the_later_ones_only_try_to_do_better() -> None:
    critical = {"fgsm": [0.2, NEVER, 0.05], "pgd": [0.1, 0.25, 0.15]}
    together = Oracle(critical)
    found = search(together, "fgsm", "pgd", count=3)
    for epsilon in EPSILONS:
        lost = [item.outcome is Outcome.WRONG for item in found[epsilon]]
        assert lost == [min(edges) <= float(epsilon) for edges in zip(*critical.values(), strict=True)]
    alone = Oracle(critical)
    search(alone, "fgsm", count=3)
    search(alone, "pgd", count=3)
    assert together.asked < alone.asked


def test_an_image_that_is_wrong_by_itself_is_not_attacked() -> None:
    oracle = Oracle({"pgd": [NEVER, NEVER]}, wrong=[0])
    found = search(oracle, "pgd", count=2)
    assert all(outcomes[0].outcome is Outcome.WRONG for outcomes in found.values())
    assert oracle.asked == 5
