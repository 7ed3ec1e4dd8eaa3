"""``robench compare``: two defenses of one run, on the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from robench.analysis.comparison import Evaluated, compare
from robench.analysis.judged import Judged
from robench.api import UsageError
from robench.api.records import CLEAN, REJECTION
from robench.session.stored import StoredRun
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from robench.analysis.comparison import EpsilonComparison
    from robench.analysis.mcnemar import Discordance

LEVEL = 0.05
"""Of all tests of a comparison together: below it, a difference is taken for more than luck."""

Winner = Literal["first", "second"]


@dataclass(frozen=True, kw_only=True)
class ComparedRates:
    """Whether two defenses pay the same false-positive rate for what they detect.

    Attributes:
        matched: Whether nothing speaks against it; a test that finds no difference does not prove that there is none.
        reasons: What does, as sentences without a full stop.
        nominal: The rate that the run asked for, of all its defenses; None where it is not recorded.
        only_first, only_second: Clean images that only one of them rejects.
        n: Clean images.
        p: Of McNemar's exact test on these, two-sided.
    """

    matched: bool
    reasons: tuple[str, ...]
    nominal: float | None
    only_first: int
    only_second: int
    n: int
    p: float


@dataclass(frozen=True, kw_only=True)
class ComparedEpsilon:
    """Two defenses at one epsilon.

    Attributes:
        epsilon: Exact decimal text.
        n: Images that both were judged on.
        first, second: Strict robust accuracy, in [0, 1], of the recorded outcomes.
        only_first, only_second: Images that only one of them withstands (b and c).
        p: Of McNemar's exact test, two-sided.
        p_adjusted: The same, adjusted by Holm for all epsilons.
        more_robust: Which defense is, at a level of 0.05 over all epsilons; None where no difference is shown.
    """

    epsilon: str
    n: int
    first: float
    second: float
    only_first: int
    only_second: int
    p: float
    p_adjusted: float
    more_robust: Winner | None


@dataclass(frozen=True, kw_only=True)
class DefenseComparison:
    """Two defenses of one run under the same attack.

    Attributes:
        run: Id.
        attack: Name.
        norm: Of the balls, ``linf`` or ``l2``.
        knowledge: What the attack knows of the defense; less than ``adaptive`` bounds nothing.
        first, second: Names of the defenses.
        rates: Whether their false-positive rates match.
        epsilons: Ascending.
    """

    run: str
    attack: str
    norm: str
    knowledge: str
    first: str
    second: str
    rates: ComparedRates
    epsilons: tuple[ComparedEpsilon, ...]


def compare_defenses(db: str, first: str, second: str, *, run: str | None, attack: str | None) -> DefenseComparison:
    """Compare two defenses; see ``Session.compare``."""
    if first == second:
        message = f"{first} is to be compared with itself"
        raise UsageError(message, "name two defenses")
    with ResultStore.open(db, create=False) as store:
        stored = StoredRun.newest_with(store, first, second) if run is None else StoredRun.load(store, run)
        for name in (first, second):
            stored.require_defense(name)
        attack = stored.attack_named(attack)
        if attack == REJECTION:
            message = f"{REJECTION} is after rejections, so what it finds is no measure of robustness"
            raise UsageError(message, "compare the defenses under another attack")
        found = compare(*(_evaluated(store, stored, name, attack) for name in (first, second)))
    cell = next(iter(stored.cells_of(first, attack).values()))
    return DefenseComparison(
        run=stored.run.id,
        attack=attack,
        norm=cell.norm,
        knowledge=cell.knowledge,
        first=first,
        second=second,
        rates=_rates(stored, first, second, found.clean_rejected),
        epsilons=tuple(_row(item) for item in found.epsilons),
    )


def _evaluated(store: ResultStore, stored: StoredRun, defense: str, attack: str) -> Evaluated:
    def judged(key: str) -> Judged:
        return Judged.of(store.outcomes(stored.run.id, key))

    (clean,) = stored.cells_of(defense, CLEAN).values()
    attacked = {epsilon: judged(cell.key) for epsilon, cell in stored.cells_of(defense, attack).items()}
    return Evaluated(clean=judged(clean.key), attacked=attacked)


def _row(found: EpsilonComparison) -> ComparedEpsilon:
    winner: Winner | None = None
    if found.p_adjusted < LEVEL:
        winner = "first" if found.robust.difference < 0 else "second"
    return ComparedEpsilon(
        epsilon=found.epsilon,
        n=found.robust.n,
        first=found.first,
        second=found.second,
        only_first=found.robust.only_first,
        only_second=found.robust.only_second,
        p=found.robust.p,
        p_adjusted=found.p_adjusted,
        more_robust=winner,
    )


def _rates(stored: StoredRun, first: str, second: str, rejected: Discordance) -> ComparedRates:
    # One nominal rate holds for a whole run, so two defenses of it can differ in their rule only.
    nominal = stored.details.get("false_positive_rate")
    rules = {name: stored.facts(name).get("threshold_rule") for name in (first, second)}
    reasons = []
    if rules[first] != rules[second]:
        said = [f"{name} follows the rule {rule}" if rule else f"{name} never rejects" for name, rule in rules.items()]
        reasons.append(" and ".join(said))
    if rejected.p < LEVEL:
        more = first if rejected.difference < 0 else second
        reasons.append(f"{more} rejects more clean images (p = {rejected.p:.2g})")
    return ComparedRates(
        matched=not reasons,
        reasons=tuple(reasons),
        nominal=nominal if isinstance(nominal, float) else None,
        only_first=rejected.only_first,
        only_second=rejected.only_second,
        n=rejected.n,
        p=rejected.p,
    )
