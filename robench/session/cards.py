"""Evaluation cards at the end of a run, from what the store holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from robench.analysis.card import build_card
from robench.analysis.evidence import Evidence, critical_epsilons, rejection_radii, worst_case
from robench.analysis.judged import Judged
from robench.api.records import ADAPTIVE, CLEAN, COMPOSITES, REJECTION, WORST_CASE
from robench.session.workbench import BASELINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from robench.api.records import Card, CellCounts, Finding, RunSummary
    from robench.storage.store import ResultStore


def write_cards(store: ResultStore, summary: RunSummary) -> tuple[Card, ...]:
    """Write and store a card for each defense of a run that has all outcomes it needs.

    A card that says the same as the newest one is not stored again.

    Args:
        store: Where the run is.
        summary: Of the run.
    """
    run = summary.run
    counts, members = store.counts(run.id), store.member_counts(run.id)
    findings = store.findings(run.id)
    evidence = {}
    for defense in summary.defenses:
        own = [count for count in counts if count.cell.defense == defense and count.n == run.images]
        theirs = [count for count in members if count.cell.defense == defense and count.n]
        facts = _facts(summary.details, defense)
        found = _gather(store, run.id, own, theirs, norm=summary.norm, findings=findings.get(defense, ()), facts=facts)
        if found is not None:
            evidence[defense] = found
    known = {card.defense: card for card in summary.cards}
    created = datetime.now(UTC).isoformat(timespec="seconds")
    cards = []
    for defense, own_evidence in evidence.items():
        baseline = None if defense == BASELINE else evidence.get(BASELINE)
        card = build_card(own_evidence, baseline, run, summary.details, created)
        if defense not in known or replace(known[defense], created=created) != card:
            store.add_card(run.id, card)
        cards.append(card)
    return tuple(cards)


def _gather(
    store: ResultStore,
    run: str,
    counts: Sequence[CellCounts],
    members: Sequence[CellCounts],
    *,
    norm: str,
    findings: Sequence[Finding],
    facts: Mapping[str, object],
) -> Evidence | None:
    """Read what is known of one defense; None if there is nothing to say."""
    by_attack: dict[str, dict[str, CellCounts]] = {}
    for count in counts:
        by_attack.setdefault(count.cell.attack, {})[count.cell.epsilon] = count
    if CLEAN not in by_attack:
        return None

    def judged(attack: str) -> dict[str, Judged]:
        found = by_attack.get(attack, {})
        return {text: Judged.of(store.outcomes(run, found[text].cell.key)) for text in sorted(found, key=float)}

    clean = judged(CLEAN)["0"]
    cell = by_attack[CLEAN]["0"].cell
    chief = _chief(by_attack)
    attacked = judged(chief) if chief in COMPOSITES else _weakest(store, run, by_attack)
    critical = critical_epsilons(
        attacked, clean, store.lowest_wins(cell.subject, norm, [int(image) for image in clean.image])
    )
    rejection = judged(REJECTION)
    naive = [
        count
        for attack, found in by_attack.items()
        for count in found.values()
        if attack not in COMPOSITES and count.cell.knowledge in {"naive", "oblivious"}
    ]
    return Evidence(
        defense=cell.defense,
        norm=norm,
        knowledge=_knowledge(by_attack, chief),
        clean=clean,
        worst={text: worst_case(one, critical, text, stochastic=cell.stochastic) for text, one in attacked.items()},
        critical=critical,
        rejection=rejection_radii(rejection, clean) if rejection else None,
        naive=naive,
        members=[count for count in members if count.cell.ensemble == _ensemble(by_attack, chief)],
        findings=findings,
        facts=facts,
    )


def _chief(by_attack: Mapping[str, object]) -> str:
    """Return the ensemble whose bound is the headline; empty without one."""
    return next((name for name in (ADAPTIVE, WORST_CASE) if name in by_attack), "")


def _ensemble(by_attack: Mapping[str, Mapping[str, CellCounts]], chief: str) -> str:
    return next(iter(by_attack[chief].values())).cell.ensemble if chief else ""


def _knowledge(by_attack: Mapping[str, Mapping[str, CellCounts]], chief: str) -> str:
    if chief:
        return next(iter(by_attack[chief].values())).cell.knowledge
    known = {count.cell.knowledge for found in by_attack.values() for count in found.values()}
    return next((word for word in ("adaptive", "naive", "oblivious") if word in known), "none")


def _weakest(store: ResultStore, run: str, by_attack: Mapping[str, Mapping[str, CellCounts]]) -> dict[str, Judged]:
    """Return, for each epsilon, the outcomes under the attack that leaves the least robust accuracy."""
    least: dict[str, CellCounts] = {}
    for attack, found in by_attack.items():
        for text, count in found.items() if attack not in {CLEAN, *COMPOSITES} else ():
            if text not in least or count.fooled > least[text].fooled:
                least[text] = count
    return {text: Judged.of(store.outcomes(run, least[text].cell.key)) for text in sorted(least, key=float)}


def _facts(details: Mapping[str, object], defense: str) -> Mapping[str, object]:
    defenses = details.get("defenses")
    own = defenses.get(defense) if isinstance(defenses, dict) else None
    return own if isinstance(own, dict) else {}
