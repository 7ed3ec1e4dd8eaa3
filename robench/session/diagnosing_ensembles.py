"""The diagnosis of an ensemble of attacks on one defense: only what casts doubt on its bound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch

from robench.analysis import flags
from robench.analysis.flags import Tally
from robench.analysis.judged import Judged
from robench.api import PluginError
from robench.api.records import Outcome
from robench.engine.diagnostics.climb import Climb
from robench.engine.diagnostics.probe import Slot, Tried
from robench.engine.diagnostics.variants import doubled, restarted
from robench.engine.ensemble import MemberError, find_worst_case
from robench.session.diagnosing_attacks import BLIND, TRANSFER, randomised, redraw, rounding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor

    from robench.api.records import Finding, ImageOutcome
    from robench.engine.diagnostics.probe import Probe
    from robench.engine.ensemble import WorstCase
    from robench.engine.plan import Assault, Ensemble

    Outcomes = Mapping[str, Sequence[ImageOutcome]]
    """By epsilon."""


_BEYOND_LUCK = 0.5
_CONTROLS = 6
"""Images of the control without bounds. It has to win all of them, so few will do; it takes the whole ensemble."""
_REPEATED = 6
"""Images, or a fifth of them if that is more, on which wins are made again and starts are doubled."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What an ensemble found.

    Attributes:
        together: The outcomes that count, by epsilon; all have the same positions.
        members: What each attack did, by name and epsilon; on the images that it was tried on.
    """

    together: Outcomes
    members: Mapping[str, Outcomes]

    def standing(self, positions: Iterable[int]) -> dict[str, list[Slot]]:
        """Return which of some positions stand, by epsilon."""
        kept = frozenset(positions)
        return {
            epsilon: [
                Slot(position=item.position, epsilon=epsilon)
                for item in outcomes
                if item.outcome is not Outcome.WRONG and item.position in kept
            ]
            for epsilon, outcomes in self.together.items()
        }

    def winners(self, slot: Slot) -> frozenset[str]:
        """Return the attacks that have won an image at this epsilon or a smaller one."""
        return frozenset(
            name
            for name, by_epsilon in self.members.items()
            for epsilon, outcomes in by_epsilon.items()
            if Decimal(epsilon) <= Decimal(slot.epsilon)
            and any(item.position == slot.position and item.outcome is Outcome.WRONG for item in outcomes)
        )

    def first_wins(self, positions: Iterable[int]) -> dict[Slot, str]:
        """Return the slot of the smallest epsilon at which each image is won, and the attack that won it there."""
        found: dict[int, tuple[Slot, str]] = {}
        for epsilon in sorted(self.together, key=Decimal, reverse=True):
            shares: dict[int, float] = {}
            for name, by_epsilon in self.members.items():
                for item in by_epsilon.get(epsilon, ()):
                    if item.outcome is Outcome.WRONG and item.fooled > shares.get(item.position, 0):
                        shares[item.position] = item.fooled
                        found[item.position] = Slot(position=item.position, epsilon=epsilon), name
        return dict(found[position] for position in positions if position in found)


def search(probe: Probe, ensemble: Ensemble, positions: Sequence[int], epsilons: Sequence[str]) -> WorstCase:
    """Run an ensemble on some images; an attack that fails is done without.

    Raises:
        MemberError: If the last of its attacks fails.
    """
    while True:
        try:
            return find_worst_case(
                probe.runner(),
                probe.prepared,
                ensemble.assaults,
                positions,
                epsilons,
                purpose=ensemble.name,
                goal=ensemble.goal,
            )
        except MemberError as error:
            ensemble = ensemble.without(error.member)
            if not ensemble.assaults:
                raise


def found_by(work: WorstCase) -> Found:
    """Return what a run of an ensemble found."""
    members = {name: {epsilon: own.outcomes for epsilon, own in works.items()} for name, works in work.works.items()}
    return Found(together=work.outcomes, members=members)


class EnsembleDiagnosis:
    """Looks at an ensemble again, on some images.

    Args:
        probe: The defense and the images.
        ensemble: The attacks.
        found: What they found, on these images at least.
        examples: The examples of it that are at hand, each of shape (C, H, W).
    """

    def __init__(
        self,
        probe: Probe,
        ensemble: Ensemble,
        found: Found,
        *,
        examples: Mapping[Slot, Tensor] = MappingProxyType({}),
    ) -> None:
        self._probe, self._ensemble, self._found, self._examples = probe, ensemble, found, examples

    def checks(self) -> dict[str, Callable[[], Finding]]:
        """Return the checks by name, the cheap ones first."""
        checks: dict[str, Callable[[], Finding]] = {
            "randomised": lambda: randomised(self.name, self._probe, averaging=True),
            "monotone": self._monotone,
            "doubling": self._doubling,
            "rounding": lambda: rounding(self.name, self._probe, self._won_again),
            "incomplete": self._incomplete,
            "unbounded": self._unbounded,
            "beaten-by-transfer": lambda: self._beaten("transfer", TRANSFER),
            "beaten-by-black-box": lambda: self._beaten("black-box", BLIND),
        }
        if self._starting is not None:
            checks["restarts"] = partial(self._restarts, *self._starting)
        if self._probe.prepared.deployed.stochastic:
            checks["redraw"] = self._redraw
        return checks

    @property
    def name(self) -> str:
        """Name of the ensemble."""
        return self._ensemble.name

    @cached_property
    def _white(self) -> list[Assault]:
        """The attacks that use the gradients of the defense."""
        return [item for item in self._ensemble.assaults if item.name not in (*BLIND, *TRANSFER)]

    @cached_property
    def _strongest(self) -> Assault:
        """The costliest attack that can try harder; it saw the images that all others lost.

        Raises:
            PluginError: If there is none.
        """
        able = [assault for assault in self._white if doubled(assault) is not None]
        if not able:
            message = f"{self.name}: no attack takes steps along the gradients of the defense"
            raise PluginError(message)
        return max(able, key=lambda assault: float(assault.offer.spec.cost))

    @cached_property
    def _standing(self) -> list[Slot]:
        """The images that stand at the largest epsilon at which some do."""
        standing = self._found.standing(self._probe.positions)
        return next(
            (standing[epsilon] for epsilon in sorted(standing, key=Decimal, reverse=True) if standing[epsilon]), []
        )

    @property
    def _repeated(self) -> Sequence[int]:
        """The images on which more is tried than the bound needs."""
        positions = self._probe.positions
        return positions[: max(_REPEATED, len(positions) // 5)]

    @cached_property
    def _climb(self) -> Climb:
        return Climb(len(self._standing))

    @cached_property
    def _more(self) -> Tried:
        """What becomes of what stands under twice the effort of the strongest attack."""
        more = doubled(self._strongest)
        assault = self._strongest if more is None else more[0]
        return self._probe.attack(assault, self._standing, observe=self._climb)

    @cached_property
    def _gain(self) -> Tally:
        """How many of the images twice the effort wins and the attack itself does not."""
        return self._beyond(self._strongest, self._more)

    def _beyond(self, assault: Assault, more: Tried) -> Tally:
        """Count what an attack that tries harder wins of the standing images.

        A stochastic defense that stood once may fall to the attack itself when it is asked again. What counts is a
        share of draws that is larger by more than luck: by half, which is twice the deviation of ten draws' difference.
        """
        count = len(more.won)
        if self._probe.prepared.deployed.stochastic and count:
            again = self._probe.attack(assault, more.slots)
            pairs = zip(more.outcomes, again.outcomes, strict=True)
            count = sum(one.fooled - same.fooled >= _BEYOND_LUCK for one, same in pairs)
        return Tally(count=count, of=len(self._probe.positions))

    @cached_property
    def _won_again(self) -> Tried:
        """The first wins, judged once more; what is not at hand is made again, on the same draws."""
        wins = self._found.first_wins(self._repeated)
        known = [slot for slot in wins if slot in self._examples]
        tried = [
            self._probe.attack(
                assault, [slot for slot, name in wins.items() if name == assault.name and slot not in known]
            )
            for assault in self._ensemble.assaults
        ]
        if known:
            images = torch.stack([self._examples[slot] for slot in known])
            tried.append(self._probe.judge(known, images.to(self._probe.device)))
        return Tried(
            slots=tuple(slot for one in tried for slot in one.slots),
            examples=torch.cat([one.examples for one in tried]),
            outcomes=tuple(outcome for one in tried for outcome in one.outcomes),
        )

    def _monotone(self) -> Finding:
        by_epsilon = {epsilon: Judged.of(outcomes) for epsilon, outcomes in self._found.together.items()}
        return flags.monotone(self.name, by_epsilon)

    def _doubling(self) -> Finding:
        more = doubled(self._strongest)
        what = "effort" if more is None else f"{more[1]} of {self._strongest.name}"
        return flags.doubling(self.name, what, self._gain)

    @cached_property
    def _starting(self) -> tuple[Assault, Assault, str] | None:
        """The costliest attack along gradients that has several starts, with twice as many, and what it calls them."""
        able = [(item, *more) for item in self._white if (more := restarted(item)) is not None]
        return max(able, key=lambda found: float(found[0].offer.spec.cost), default=None)

    def _restarts(self, assault: Assault, more: Assault, what: str) -> Finding:
        standing = [slot for slot in self._standing if slot.position in self._repeated]
        gain = replace(self._beyond(assault, self._probe.attack(more, standing)), of=len(self._repeated))
        return flags.doubling(self.name, f"{what} of {assault.name}", gain, name="restarts")

    def _redraw(self) -> Finding:
        known = {
            Slot(position=item.position, epsilon=epsilon): item
            for epsilon, outcomes in self._found.together.items()
            for item in outcomes
        }
        return redraw(self.name, self._probe, self._won_again, [known[slot] for slot in self._won_again.slots])

    def _incomplete(self) -> Finding:
        """Look at the doubled attack: where it wins nothing more, the attack itself had come to an end."""
        more = self._more
        lost = [number for number, slot in enumerate(more.slots) if slot not in more.won]
        return flags.incomplete(self.name, self._climb.rise(lost), self._gain)

    def _unbounded(self) -> Finding:
        epsilon, positions = self._probe.diameter, self._probe.positions[:_CONTROLS]
        (outcomes,) = search(self._probe, self._ensemble, positions, (epsilon,)).outcomes.values()
        lost = sum(item.outcome is not Outcome.WRONG for item in outcomes)
        return flags.unbounded(self.name, Tally(count=lost, of=len(outcomes)), epsilon)

    @cached_property
    def _looked_at(self) -> tuple[Slot, ...]:
        """All images at the smallest and at the largest epsilon."""
        epsilons = sorted(self._found.together, key=Decimal)
        return self._probe.slots(*dict.fromkeys((epsilons[0], epsilons[-1])))

    @cached_property
    def _only_weak(self) -> dict[Slot, frozenset[str]]:
        """Slots that weak attacks have won and no other one wins, with their winners.

        The others had no need to try where a cheaper attack had won, so they get to try now.
        """
        standing = {slot for slots in self._found.standing(self._probe.positions).values() for slot in slots}
        won = {
            slot: winners for slot in self._looked_at if slot not in standing and (winners := self._found.winners(slot))
        }
        weak = [slot for slot, winners in won.items() if winners.isdisjoint(item.name for item in self._white)]
        for assault in self._white:
            weak = list(self._probe.attack(assault, weak).lost)
        return {slot: won[slot] for slot in weak}

    def _beaten(self, by: str, names: Sequence[str]) -> Finding:
        rivals = [name for name in names if name in self._found.members]
        only = sum(not winners.isdisjoint(names) for winners in self._only_weak.values())
        return flags.beaten(self.name, by, Tally(count=only, of=len(self._looked_at)), rivals)
