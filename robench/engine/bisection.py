"""The worst case per image over several attacks and all smaller epsilons, without attacking at every epsilon."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from robench.api import PluginError
from robench.api.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.records import ImageOutcome
    from robench.engine.plan import Assault, Sweep
    from robench.engine.prepare import Prepared
    from robench.engine.runner import Runner

_CLEAN = -1
"""Place in the list of epsilons that stands for the image itself."""


@dataclass(kw_only=True)
class _Bounds:
    """What is known of one image.

    Attributes:
        won: Place of the smallest epsilon at which something has won; the length of the list if nothing has.
        lost: Place of the largest epsilon below it at which the present attack has not won.
        judged: The outcome at each place that was tried.
    """

    won: int
    lost: int = _CLEAN
    judged: dict[int, ImageOutcome] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        return self.won - self.lost > 1

    @property
    def next(self) -> int:
        return (self.won + self.lost) // 2

    def learn(self, place: int, outcome: ImageOutcome) -> None:
        if outcome.outcome is Outcome.WRONG:
            self.won, self.judged[place] = place, outcome
        else:
            self.lost = place
            self.judged.setdefault(place, outcome)

    def at(self, place: int) -> ImageOutcome:
        """Return the outcome that counts at a place: the win, or the last one tried up to there."""
        if place >= self.won:
            return self.judged[self.won]
        return self.judged[max(tried for tried in self.judged if tried <= place)]


def worst_case(
    runner: Runner, prepared: Prepared, assaults: Sequence[Assault], positions: Sequence[int], epsilons: Sequence[str]
) -> dict[str, tuple[ImageOutcome, ...]]:
    """Find for each image the smallest epsilon of a list at which some attack wins.

    Balls nest: what fools an image within a small ball lies within every larger one. So the epsilons of a list are
    halved again and again instead of tried one by one, and an attack only tries to do better than those before it.
    Should an attack win at some epsilon and lose at a larger one, the smallest win may be missed; what is found is an
    upper bound of robustness, as always.

    Args:
        runner: Attacks and judges.
        prepared: The defense.
        assaults: The attacks, the cheapest first.
        positions: Which images.
        epsilons: Decimal texts, ascending.

    Returns:
        Outcomes by epsilon, in the order of the positions: that of an example inside the ball, the one that won if any.
    """
    clean = runner.outcomes(prepared, None, positions, [("0",)] * len(positions))["0"]
    bounds = [_Bounds(won=len(epsilons)) for _ in positions]
    for known, outcome in zip(bounds, clean, strict=True):
        known.learn(_CLEAN, outcome)
    for assault in assaults:
        for known in bounds:
            known.lost = _CLEAN
        while standing := [number for number, known in enumerate(bounds) if known.open]:
            places = [bounds[number].next for number in standing]
            found = _attack(
                runner,
                prepared,
                assault,
                [positions[number] for number in standing],
                [(epsilons[place],) for place in places],
            )
            by_position = {outcome.position: outcome for outcomes in found.values() for outcome in outcomes}
            for number, place in zip(standing, places, strict=True):
                bounds[number].learn(place, by_position[positions[number]])
    return {epsilon: tuple(known.at(place) for known in bounds) for place, epsilon in enumerate(epsilons)}


def _attack(
    runner: Runner,
    prepared: Prepared,
    assault: Assault,
    positions: Sequence[int],
    epsilons: Sequence[tuple[str, ...]],
) -> dict[str, tuple[ImageOutcome, ...]]:
    """Attack, and say which of several attacks it was that broke the rules."""
    try:
        return runner.outcomes(prepared, assault, positions, epsilons)
    except PluginError as error:
        message = f"attack {assault.name}: {error.message}"
        raise PluginError(message, error.hint) from error


def run_sweep(
    runner: Runner, sweep: Sweep, positions: Sequence[int], epsilons: tuple[str, ...]
) -> dict[str, tuple[ImageOutcome, ...]]:
    """Work out the outcomes of some cells of a sweep at some positions.

    Args:
        runner: Attacks and judges.
        sweep: Whose defense is prepared.
        positions: Which images.
        epsilons: Decimal texts, ascending.

    Returns:
        Outcomes by epsilon, in the order of the positions.

    Raises:
        PluginError: If attack or defense break the rules.
    """
    if sweep.prepared is None:
        message = f"defense {sweep.defense} is not prepared"
        raise PluginError(message)
    if sweep.worst_case:
        # All epsilons, whatever is asked for: where the search goes depends on the whole list.
        return worst_case(runner, sweep.prepared, sweep.assaults, positions, [cell.epsilon for cell in sweep.cells])
    assault = sweep.assaults[0] if sweep.assaults else None
    return runner.outcomes(sweep.prepared, assault, positions, [epsilons] * len(positions))
