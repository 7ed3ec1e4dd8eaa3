"""What the store holds about the defenses of a run, gathered for cards, pictures and leaderboards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.analysis.credit import assign_credit
from robench.analysis.evidence import Evidence, critical_epsilons, rejection_radii, worst_case
from robench.analysis.judged import Judged
from robench.api.records import ADAPTIVE, CLEAN, COMPOSITES, REJECTION, WORST_CASE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from robench.analysis.credit import Credit
    from robench.api.records import Cell, CellCounts, RunSummary
    from robench.storage.store import ResultStore


@dataclass(frozen=True, kw_only=True)
class Observed:
    """The outcomes on which the evaluation of one defense rests.

    Attributes:
        cell: Of the clean images.
        clean: The defense on clean images.
        chief: The ensemble whose bound is the headline; empty without one.
        knowledge: Of the attacks behind ``attacked``.
        attacked: By epsilon, ascending: under the ensemble, else under the attack that leaves the least accuracy.
        behind: Name of the attack behind each of them.
        critical: Shape (n,), float64, see ``robench.analysis.critical``: wins of all runs in the store count.
        cells: Counts by attack and epsilon, of cells with an outcome for every image.
        winners: Attacks of this run whose wins count in ``critical`` up to the largest epsilon, by name.
        strangers: The same of other runs, where this run has no win at that epsilon or a smaller one.
    """

    cell: Cell
    clean: Judged
    chief: str
    knowledge: str
    attacked: Mapping[str, Judged]
    behind: Mapping[str, str]
    critical: NDArray[np.float64]
    cells: Mapping[str, Mapping[str, CellCounts]]
    winners: Sequence[str]
    strangers: Sequence[str]


def observe(store: ResultStore, summary: RunSummary, counts: Sequence[CellCounts]) -> dict[str, Observed]:
    """Read the outcomes of each defense of a run that has a complete cell of clean images.

    Args:
        store: Where the run is.
        summary: Of the run.
        counts: Of its cells.
    """
    aims = _aims(summary.details)
    found: dict[str, dict[str, dict[str, CellCounts]]] = {}
    for count in counts:
        # An attack that wants an image rejected bounds nothing when it fails to fool.
        if count.n == summary.run.images and aims.get(count.cell.attack, "wrong") == "wrong":
            found.setdefault(count.cell.defense, {}).setdefault(count.cell.attack, {})[count.cell.epsilon] = count
    return {
        defense: _observe(store, summary, found[defense])
        for defense in summary.defenses
        if CLEAN in found.get(defense, {})
    }


def _observe(store: ResultStore, summary: RunSummary, cells: Mapping[str, Mapping[str, CellCounts]]) -> Observed:
    (own,) = cells[CLEAN].values()
    clean = Judged.of(store.outcomes(summary.run.id, own.cell.key))
    chief = next((name for name in (ADAPTIVE, WORST_CASE) if name in cells), "")
    sources = cells[chief] if chief else _weakest(cells)
    attacked = {
        epsilon: Judged.of(store.outcomes(summary.run.id, sources[epsilon].cell.key))
        for epsilon in sorted(sources, key=float)
    }
    images = [int(image) for image in clean.image]
    wins = store.lowest_wins(own.cell.subject, summary.norm, images)
    ours = store.lowest_wins(own.cell.subject, summary.norm, images, run_id=summary.run.id)
    lowest = {win.image: float(win.epsilon) for win in wins}
    reached = dict(zip(images, critical_epsilons(attacked, clean, ours), strict=True))
    largest = max(map(float, attacked), default=0.0)
    return Observed(
        cell=own.cell,
        clean=clean,
        chief=chief,
        knowledge=_knowledge(cells, chief),
        attacked=attacked,
        behind={epsilon: sources[epsilon].cell.attack for epsilon in attacked},
        critical=critical_epsilons(attacked, clean, wins),
        cells=cells,
        winners=sorted({win.attack for win in ours if 0 < float(win.epsilon) == lowest[win.image] <= largest}),
        strangers=sorted(
            {win.attack for win in wins if lowest[win.image] < reached[win.image] and lowest[win.image] <= largest}
        ),
    )


def gather_evidence(store: ResultStore, summary: RunSummary) -> dict[str, Evidence]:
    """Read what is known of each defense of a run that has all outcomes it needs.

    Args:
        store: Where the run is.
        summary: Of the run.
    """
    members, findings = store.member_counts(summary.run.id), store.findings(summary.run.id)
    evidence = {}
    for defense, seen in observe(store, summary, store.counts(summary.run.id)).items():
        ensemble = next(iter(seen.cells[seen.chief].values())).cell.ensemble if seen.chief else ""
        ours = [
            count for count in members if count.cell.defense == defense and count.n and count.cell.ensemble == ensemble
        ]
        alone = [
            count
            for attack, found in seen.cells.items()
            if attack not in {CLEAN, *COMPOSITES}
            for count in found.values()
        ]
        rejection = {
            epsilon: Judged.of(store.outcomes(summary.run.id, count.cell.key))
            for epsilon, count in sorted(seen.cells.get(REJECTION, {}).items(), key=lambda item: float(item[0]))
        }
        stochastic = seen.cell.stochastic
        evidence[defense] = Evidence(
            defense=defense,
            norm=summary.norm,
            knowledge=seen.knowledge,
            clean=seen.clean,
            worst={
                text: worst_case(one, seen.critical, text, stochastic=stochastic) for text, one in seen.attacked.items()
            },
            critical=seen.critical,
            rejection=rejection_radii(rejection, seen.clean) if rejection else None,
            alone=alone,
            members=ours,
            credit=_credit(store, summary.run.id, [*alone, *ours], seen.clean),
            stochastic=stochastic,
            findings=findings.get(defense, ()),
            facts=_facts(summary.details, defense),
            winners=seen.winners,
            strangers=seen.strangers,
        )
    return evidence


def _credit(store: ResultStore, run: str, counts: Sequence[CellCounts], clean: Judged) -> dict[str, Credit]:
    """Say what each attack won and no other."""
    attempts: dict[str, dict[str, Judged]] = {}
    for count in counts:
        cell = count.cell
        # What was judged on one draw may have been luck, so it is no win over a stochastic defense.
        if not cell.stochastic or cell.knowledge == "adaptive":
            known = attempts.setdefault(cell.attack, {})
            if cell.epsilon not in known:  # on its own it was tried on every image, as a member not
                known[cell.epsilon] = Judged.of(store.outcomes(run, cell.key))
    return assign_credit(attempts, clean)


def _knowledge(by_attack: Mapping[str, Mapping[str, CellCounts]], chief: str) -> str:
    if chief:
        return next(iter(by_attack[chief].values())).cell.knowledge
    known = {count.cell.knowledge for found in by_attack.values() for count in found.values()}
    return next((word for word in ("adaptive", "naive", "oblivious") if word in known), "none")


def _weakest(by_attack: Mapping[str, Mapping[str, CellCounts]]) -> dict[str, CellCounts]:
    """Return, for each epsilon, the attack that leaves the least robust accuracy."""
    least: dict[str, CellCounts] = {}
    for attack, found in by_attack.items():
        for text, count in found.items() if attack not in {CLEAN, *COMPOSITES} else ():
            if text not in least or count.fooled > least[text].fooled:
                least[text] = count
    return least


def _aims(details: Mapping[str, object]) -> dict[str, object]:
    """Return what each attack is after, by its name; runs of an older robench do not say."""
    attacks = details.get("attacks")
    if not isinstance(attacks, dict):
        return {}
    return {name: own.get("goal", "wrong") for name, own in attacks.items() if isinstance(own, dict)}


def _facts(details: Mapping[str, object], defense: str) -> Mapping[str, object]:
    defenses = details.get("defenses")
    own = defenses.get(defense) if isinstance(defenses, dict) else None
    return own if isinstance(own, dict) else {}
