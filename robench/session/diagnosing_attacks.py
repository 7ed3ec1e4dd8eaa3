"""The diagnosis of one naive attack on one defense."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from robench.analysis import flags
from robench.analysis.flags import Tally
from robench.analysis.judged import Judged
from robench.api.records import Outcome
from robench.engine.diagnostics.answers import (
    are_probabilities,
    count_differing,
    redrawn,
    relative_change,
    rounded,
)
from robench.engine.diagnostics.baselines import corners, one_step
from robench.engine.diagnostics.climb import Climb
from robench.engine.diagnostics.gradients import count_dead
from robench.engine.diagnostics.probe import Slot
from robench.engine.diagnostics.variants import doubled, keeping_wins, without_detector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from robench.api.records import Finding, ImageOutcome
    from robench.engine.diagnostics.probe import Probe, Tried
    from robench.engine.plan import Assault

    Rivals = Callable[[Sequence[Slot]], Mapping[str, frozenset[Slot]]]
    """Says which of some slots each weaker attack wins."""

BLIND = ("noise", "square-reject", "hopskipjump-reject")
"""Attacks that use no gradient."""
TRANSFER = ("transfer",)
"""Attacks that use the classifier's only."""
_WATCHED = 100
"""Images of a run whose passed-by wins are looked at: so many show a silent success that befalls one in thirty."""


class AttackDiagnosis:
    """Looks at a naive attack again, on some images.

    Args:
        probe: The defense and the images.
        assault: The attack.
        epsilons: At which, decimal texts, ascending.
        rivals: Weaker attacks.
        others: Says of a slot whether other attacks of the same evaluation win it.
        outcomes: What is known of the attack on more images and at more epsilons, by epsilon; may be empty.
    """

    def __init__(
        self,
        probe: Probe,
        assault: Assault,
        epsilons: Sequence[str],
        *,
        rivals: Rivals,
        others: Callable[[Slot], bool] = lambda _: False,
        outcomes: Mapping[str, Sequence[ImageOutcome]] = MappingProxyType({}),
    ) -> None:
        self._probe, self._assault, self._epsilons = probe, assault, tuple(epsilons)
        self._ask_rivals, self._outcomes = rivals, outcomes
        self._others = others

    def checks(self) -> dict[str, Callable[[], Finding]]:
        """Return the checks that apply, by name, the cheap ones first."""
        checks: dict[str, Callable[[], Finding]] = {
            "probabilities": self._probabilities,
            "unstable-loss": self._unstable_loss,
            "randomised": self._randomised,
            "zero-gradient": self._zero_gradient,
            "monotone": self._monotone,
            "order": self._order,
            "silent-success": self._silent_success,
            "rounding": lambda: rounding(self.name, self._probe, self._tried),
            "doubling": self._doubling,
            "incomplete": self._incomplete,
            "unbounded": self._unbounded,
            "chance": self._chance,
            "beaten-by-transfer": lambda: self._beaten("transfer", TRANSFER),
            "beaten-by-black-box": lambda: self._beaten("black-box", BLIND),
        }
        if self._probe.prepared.deployed.threshold is not None:
            checks["ablation"] = self._ablation
        if self._probe.prepared.deployed.stochastic:
            checks["redraw"] = lambda: redraw(self.name, self._probe, self._tried, self._tried.outcomes)
        return checks

    @property
    def name(self) -> str:
        """Name of the attack."""
        return self._assault.name

    @cached_property
    def _climb(self) -> Climb:
        return Climb(len(self._epsilons) * len(self._probe.positions))

    @cached_property
    def _tried(self) -> Tried:
        return self._probe.attack(self._assault, self._probe.slots(*self._epsilons), observe=self._climb)

    @cached_property
    def _more(self) -> frozenset[Slot] | None:
        """What twice the effort wins of what was lost; None if it cannot be doubled."""
        more = doubled(self._assault)
        return None if more is None else self._probe.attack(more[0], self._tried.lost).won

    @cached_property
    def _rivals(self) -> Mapping[str, frozenset[Slot]]:
        return self._ask_rivals(self._tried.lost)

    def _won(self, slots: frozenset[Slot]) -> Tally:
        """Count slots that the attack loses and something else wins."""
        return Tally(count=len(slots & set(self._tried.lost)), of=len(self._tried.slots))

    def _probabilities(self) -> Finding:
        return flags.probabilities(self.name, are_probabilities(self._probe))

    def _unstable_loss(self) -> Finding:
        return flags.unstable_loss(self.name, relative_change(self._probe))

    def _randomised(self) -> Finding:
        return randomised(self.name, self._probe, averaging=self._assault.draws > 1)

    def _zero_gradient(self) -> Finding:
        dead, standing = count_dead(self._probe, self._probe.clean())
        clean = Tally(count=dead, of=standing)
        # Where nothing has a gradient the attack has nothing to climb, and most raise an error.
        ends = (0, 0) if dead and dead == standing else count_dead(self._probe, self._tried)
        differentiable = self._probe.prepared.deployed.differentiable
        return flags.zero_gradient(self.name, clean, Tally(count=ends[0], of=ends[1]), differentiable=differentiable)

    def _monotone(self) -> Finding:
        outcomes = self._outcomes or self._tried.by_epsilon()
        return flags.monotone(self.name, {epsilon: Judged.of(found) for epsilon, found in outcomes.items()})

    def _order(self) -> Finding:
        lost = self._tried.lost
        return flags.order(self.name, self._won(one_step(self._probe, lost).won | corners(self._probe, lost)))

    def _silent_success(self) -> Finding:
        if self._assault.form != "sweep":
            return flags.not_run(self.name, "silent-success", "its iterates are not to be seen")
        stored = {
            Slot(position=item.position, epsilon=epsilon): item
            for epsilon, outcomes in self._outcomes.items()
            for item in outcomes
            if item.position < _WATCHED
        }
        watched = {slot: item for slot, item in stored.items() if item.search_won is not None}
        if not watched:
            watched = dict(zip(self._tried.slots, self._tried.outcomes, strict=True))
        suspects = sorted(
            slot for slot, item in watched.items() if item.search_won and item.outcome is not Outcome.WRONG
        )
        last = self._probe.attack(self._assault, suspects)
        earlier = self._probe.attack(keeping_wins(self._assault), last.lost)
        return flags.silent_success(self.name, Tally(count=len(earlier.won), of=len(watched)))

    @cached_property
    def _gain(self) -> Tally | None:
        """Count what only twice the effort wins; None if it cannot be doubled."""
        if self._more is None:
            return None
        return self._won(frozenset(slot for slot in self._more if not self._others(slot)))

    def _doubling(self) -> Finding:
        more, what = self._gain, doubled(self._assault)
        if more is None or what is None:
            return flags.not_run(self.name, "doubling", "it has neither steps nor restarts")
        return flags.doubling(self.name, what[1], more)

    def _incomplete(self) -> Finding:
        if self._assault.form != "sweep":
            return flags.not_run(self.name, "incomplete", "its loss is not to be seen")
        standing = [number for number, slot in enumerate(self._tried.slots) if slot not in self._tried.won]
        return flags.incomplete(self.name, self._climb.rise(standing), self._gain)

    def _unbounded(self) -> Finding:
        found = self._probe.attack(self._assault, self._probe.slots(self._probe.diameter))
        return flags.unbounded(self.name, Tally(count=len(found.lost), of=len(found.slots)), self._probe.diameter)

    def _chance(self) -> Finding:
        slots, bare = self._probe.slots(self._probe.radius_to_grey), without_detector(self._probe.prepared)
        found = self._probe.attack(self._assault, slots, prepared=bare)
        classes = Counter(self._probe.images(slots)[1].tolist())
        standing = Tally(count=len(found.lost), of=len(slots))
        most = max(classes.values(), default=0)
        return flags.chance(self.name, standing, most, self._probe.radius_to_grey)

    def _ablation(self) -> Finding:
        won = sorted(self._tried.won)
        found = self._probe.attack(self._assault, won, prepared=without_detector(self._probe.prepared))
        return flags.ablation(self.name, Tally(count=len(found.lost), of=len(self._tried.slots)))

    def _beaten(self, by: str, names: Sequence[str]) -> Finding:
        rivals = [name for name in names if name in self._rivals]
        won = frozenset[Slot]().union(*(self._rivals[name] for name in rivals))
        # What more of the same wins was not lost to misleading gradients.
        return flags.beaten(self.name, by, self._won(won - (self._more or frozenset())), rivals)


def randomised(name: str, probe: Probe, *, averaging: bool) -> Finding:
    """Put some images to the defense several times."""
    differing = Tally(count=count_differing(probe), of=len(probe.positions))
    return flags.randomised(name, differing, declared=probe.prepared.deployed.stochastic, averaging=averaging)


def rounding(name: str, probe: Probe, tried: Tried) -> Finding:
    """Round what has won to 8 bits."""
    kept = rounded(probe, tried.wins).won
    return flags.rounding(name, Tally(count=len(tried.won - kept), of=len(tried.won)))


def redraw(name: str, probe: Probe, tried: Tried, judged: Sequence[ImageOutcome]) -> Finding:
    """Put examples to a stochastic defense once more; ``judged`` says what it made of them before."""
    again, n = redrawn(probe, tried).outcomes, max(1, len(judged))
    before, after = (sum(item.fooled for item in outcomes) / n for outcomes in (judged, again))
    return flags.redraw(name, before, after, len(judged))
