"""The worst case per image over several attacks and all smaller epsilons, without attacking at every epsilon."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from robench.api import PluginError
from robench.api.records import Outcome
from robench.engine.foresight import LOOKS, beliefs, middle
from robench.engine.work import CellWork
from robench.errors import RobenchError, describe_exception

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from robench.api import Goal
    from robench.api.records import ImageOutcome
    from robench.engine.plan import Assault
    from robench.engine.prepare import Prepared
    from robench.engine.runner import Attacked, Runner

FINAL_DRAWS = 20
"""How often a stochastic defense is asked about what was chosen among several: fresh draws, lest the luckiest wins."""

_SECURE = 0.9
"""Share of draws that leaves the next attack nothing to add."""

_CLEAN = -1
"""Place in the list of epsilons that stands for the image itself."""


class MemberError(PluginError):
    """One attack of an ensemble broke the rules; the others can do without it.

    Attributes:
        member: Name of the attack.
    """

    def __init__(self, member: str, reason: str) -> None:
        super().__init__(f"attack {member}: {reason}")
        self.member = member


@dataclass(frozen=True, kw_only=True)
class WorstCase:
    """What an ensemble found.

    Attributes:
        outcomes: By epsilon, in the order of the positions: that of an example inside the ball, the one that won if
            any has.
        examples: Those examples by epsilon, each of shape (N, C, H, W).
        works: What each attack did, by name and epsilon; nothing where it was not tried.
    """

    outcomes: dict[str, tuple[ImageOutcome, ...]]
    examples: dict[str, Tensor]
    works: dict[str, dict[str, CellWork]]


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    outcome: ImageOutcome
    example: Tensor


class _Image:
    """What is known of one image.

    Args:
        places: Length of the list of epsilons.
        goal: What the attacks are after.

    Attributes:
        believed: Where the smallest win may be, see ``beliefs``.
        won: Place of the smallest epsilon at which something has won on nearly all draws; the length of the list if
            nothing has. A win on most draws counts as well in the end, but the next attack may win more.
        lost: Place of the largest epsilon below it at which the present attack has not won.
    """

    def __init__(self, places: int, goal: Outcome) -> None:
        self.won, self.lost = places, _CLEAN
        self.believed = [1.0] * (places + 1)
        self._goal = goal
        self._attempts: dict[int, _Attempt] = {}

    @property
    def open(self) -> bool:
        """Whether the present attack may still do better."""
        return self.won - self.lost > 1

    @property
    def next(self) -> int:
        """The place to try next: it halves what is believed."""
        first = self.lost + 1
        return first + middle(self.believed[first : self.won + 1])

    def face(self, *, doubting: bool) -> None:
        """Get ready for an attack, of which doubt believes by half only that it does better than those before."""
        self.lost = _CLEAN
        if doubting and self.open:
            self.believed[self.won] = sum(self.believed[: self.won])

    def learn(self, place: int, attempt: _Attempt) -> None:
        """Take note of what came of an attack, or of the image itself."""
        share, known = _share(attempt.outcome, self._goal), self._attempts.get(place)
        if known is None or share > _share(known.outcome, self._goal):
            self._attempts[place] = attempt
        if share >= _SECURE:
            self.won = place
        else:
            self.lost = place

    def learn_all(self, attempts: Mapping[int, _Attempt]) -> dict[int, _Attempt]:
        """Take note of attempts at ascending places as long as they may help, and return those that were looked at."""
        learned = {}
        for place, attempt in attempts.items():
            if not self.open:
                break
            self.learn(place, attempt)
            learned[place] = attempt
        return learned

    def at(self, place: int) -> int:
        """Return the place of the attempt that counts at a place: the win, or what came closest up to there."""
        if place >= self.won:
            return self.won
        tried = [at for at in self._attempts if at <= place]
        return max(tried, key=lambda at: (_share(self._attempts[at].outcome, self._goal), at))

    def attempt(self, place: int) -> _Attempt:
        """Return what counts of the attempts at this very place."""
        return self._attempts[place]


def _share(outcome: ImageOutcome, goal: Outcome) -> float:
    hits = outcome.draws_rejected if goal is Outcome.REJECTED else outcome.draws_wrong
    return hits / outcome.draws


def find_worst_case(
    runner: Runner,
    prepared: Prepared,
    assaults: Sequence[Assault],
    positions: Sequence[int],
    epsilons: Sequence[str],
    *,
    purpose: str,
    goal: Goal = "wrong",
) -> WorstCase:
    """Find for each image the smallest epsilon of a list at which some attack wins.

    Balls nest: what fools an image within a small ball lies within every larger one. So the epsilons of a list are
    halved again and again instead of tried one by one, and an attack only tries to do better than those before it.
    Where a defense lets it be seen how far its boundary is, halves are halves of what is believed, see
    ``engine/foresight.py``: this decides how long the search takes, not what counts as a win.
    Should an attack win at some epsilon and lose at a larger one, the smallest win may be missed; what is found is an
    upper bound of robustness, as always.

    With a stochastic defense, the example that was chosen among all attempts is judged again on fresh draws.

    Args:
        runner: Attacks and judges.
        prepared: The defense.
        assaults: The attacks, the cheapest first.
        positions: Which images.
        epsilons: Decimal texts, ascending.
        purpose: Name of the ensemble; decides the draws of that last judgement.
        goal: What the attacks are after.

    Raises:
        MemberError: If an attack breaks the rules or fails.
    """
    images = [_Image(len(epsilons), Outcome(goal)) for _ in positions]
    clean = runner.attack(prepared, None, positions, [("0",)] * len(positions))
    for image, (outcome,), (example,) in zip(images, clean.outcomes, clean.examples, strict=True):
        image.learn(_CLEAN, _Attempt(outcome=outcome, example=example))
    upright = {position: image for position, image in zip(positions, images, strict=True) if image.open}
    extra = _foresee(runner, prepared, assaults[0], upright, epsilons)
    works: dict[str, dict[str, CellWork]] = {}
    # Of draws, a win by halves counts too, and only the whole way down shows it.
    doubting = len(assaults) > 1 and not prepared.deployed.stochastic
    for assault in assaults:
        own = works.setdefault(assault.name, {})
        for image in images:
            image.face(doubting=doubting)
        while standing := [number for number, image in enumerate(images) if image.open]:
            # The closest image that a minimal attack finds answers for all epsilons at once.
            whole = range(len(epsilons)) if assault.form == "minimal" else None
            places = [whole or (images[number].next,) for number in standing]
            texts = [tuple(epsilons[place] for place in tried) for tried in places]
            begun = time.monotonic()
            found = _attack(runner, prepared, assault, [positions[number] for number in standing], texts)
            seconds, queries = (time.monotonic() - begun) / len(standing), found.queries / len(standing) + extra
            extra = 0
            ended: Counter[str] = Counter()
            for number, tried, ends, attacked in zip(standing, places, found.outcomes, found.examples, strict=True):
                attempts = [_Attempt(outcome=end, example=example) for end, example in zip(ends, attacked, strict=True)]
                learned = images[number].learn_all(dict(zip(tried, attempts, strict=True)))
                for place, attempt in learned.items():
                    own.setdefault(epsilons[place], CellWork()).outcomes.append(attempt.outcome)
                last = epsilons[max(learned)]  # where the image ended is where its work is counted
                own[last].seconds += seconds
                ended[last] += 1
            for text, count in ended.items():
                own[text].queries += round(queries * count)
    outcomes, examples = _gather(runner, prepared, images, positions, epsilons, purpose=purpose)
    return WorstCase(outcomes=outcomes, examples=examples, works=works)


def _foresee(
    runner: Runner, prepared: Prepared, assault: Assault, standing: Mapping[int, _Image], epsilons: Sequence[str]
) -> int:
    """Say where images may fall, by position, if the defense lets it be seen; return the queries for each of them."""
    deployed = prepared.deployed
    blind = deployed.stochastic or not deployed.differentiable or deployed.threshold is not None
    if blind or not standing or assault.goal != "wrong" or assault.form == "minimal":
        return 0
    try:
        distances = runner.distances(prepared, list(standing))
    except (PluginError, RuntimeError):
        return 0  # the attacks that need gradients will say what is wrong with them
    radii = [float(text) for text in epsilons]
    for image, distance in zip(standing.values(), distances, strict=True):
        image.believed = beliefs(distance, radii)
    return LOOKS


def _attack(
    runner: Runner, prepared: Prepared, assault: Assault, positions: Sequence[int], epsilons: Sequence[tuple[str, ...]]
) -> Attacked:
    """Attack, and say which of several attacks it was that failed."""
    try:
        return runner.attack(prepared, assault, positions, epsilons)
    except PluginError as error:
        raise MemberError(assault.name, str(error)) from error
    except RobenchError:
        raise
    except (Exception, SystemExit) as error:
        raise MemberError(assault.name, describe_exception(error)) from error


def _gather(
    runner: Runner,
    prepared: Prepared,
    images: Sequence[_Image],
    positions: Sequence[int],
    epsilons: Sequence[str],
    *,
    purpose: str,
) -> tuple[dict[str, tuple[ImageOutcome, ...]], dict[str, Tensor]]:
    """Pick what counts at each epsilon; judge it again where the defense is stochastic."""
    places = [[image.at(place) for image in images] for place in range(len(epsilons))]
    judged = {
        (number, at): images[number].attempt(at) for chosen in places for number, at in enumerate(chosen)
    }  # one example often counts at several epsilons
    outcomes = {key: attempt.outcome for key, attempt in judged.items()}
    if prepared.deployed.stochastic:
        owners = [positions[number] for number, _ in judged]
        examples = torch.stack([attempt.example for attempt in judged.values()])
        again = runner.judge(prepared, purpose, owners, examples[:, None], draws=FINAL_DRAWS)
        outcomes = dict(zip(judged, again, strict=True))
    return (
        {
            text: tuple(outcomes[key] for key in enumerate(chosen))
            for text, chosen in zip(epsilons, places, strict=True)
        },
        {
            text: torch.stack([judged[key].example for key in enumerate(chosen)])
            for text, chosen in zip(epsilons, places, strict=True)
        },
    )
