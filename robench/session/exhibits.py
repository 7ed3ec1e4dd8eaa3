"""What pictures show of a stored run, gathered from its outcomes and its kept examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.analysis.judged import Judged
from robench.analysis.pictures import critical_curve, roc_curve, score_histograms
from robench.api.exhibit import Exhibit
from robench.errors import RobenchError
from robench.session.evidence import observe
from robench.session.kept import examples_folder
from robench.session.specimens import pick_specimens
from robench.session.summaries import find_run, summarise_stored
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from robench.api import Split
    from robench.api.exhibit import Specimen
    from robench.api.records import CellCounts, RunSummary
    from robench.registry.catalog import Catalog
    from robench.session.evidence import Observed

_NOTHING_KEPT = (
    "No attacked images of this run are kept. Its command with --keep-examples keeps them; a run that is complete "
    "already needs another --db besides, so that it is worked out again."
)


def exhibit(
    db: str,
    prefix: str | None,
    suite: str | None,
    load: Callable[[str], tuple[Split, Sequence[str]]],
    catalog: Catalog,
) -> Exhibit:
    """Gather a run with what its pictures need; see ``Session.exhibit``.

    Args:
        db: Path or URL of the store.
        prefix: Beginning of the run's id; None for the newest.
        suite: Name of the suite that it must be of; None for any run.
        load: Returns the test split of a data set and the names of its classes; may raise RobenchError.
        catalog: Says what defenses and attacks are.
    """
    with ResultStore.open(db, create=False) as store:
        run = find_run(store, prefix, suite)
        counts = store.counts(run.id)
        summary = summarise_stored(store, run, counts)
        seen = observe(store, summary, counts)
        specimens, without = _specimens(store, summary, counts, db, load)
        samples = {defense: _samples(store, summary, own) for defense, own in seen.items()}
        findings = store.findings(run.id)
        members = store.member_counts(run.id)
    return Exhibit(
        summary=summary,
        histograms=tuple(
            histogram
            for defense, own in seen.items()
            if own.cell.threshold is not None
            for histogram in score_histograms(
                defense, {"clean images": own.clean, **samples[defense]}, own.cell.threshold
            )
        ),
        rocs=tuple(
            roc
            for defense, own in seen.items()
            for name, attacked in samples[defense].items()
            if (roc := roc_curve(defense, name, own.clean, attacked, own.cell.threshold)) is not None
        ),
        critical=tuple(
            critical_curve(defense, own.critical, [float(epsilon) for epsilon in own.attacked])
            for defense, own in seen.items()
            if own.attacked
        ),
        specimens=specimens,
        no_specimens=without,
        findings=findings,
        notes=(*_unobserved(summary, seen), *_unknowing(summary)),
        glossary=_glossary(catalog, summary, members),
    )


def _unobserved(summary: RunSummary, seen: Mapping[str, Observed]) -> tuple[str, ...]:
    missing = ", ".join(defense for defense in summary.defenses if defense not in seen)
    if not missing:
        return ()
    return (f"scores and critical epsilons of {missing}: not all clean images are judged, so the run has to go on",)


def _unknowing(summary: RunSummary) -> tuple[str, ...]:
    """Say so where no attack of a run knew the defense."""
    if not summary.results or any(row.knowledge == "adaptive" for row in summary.results):
        return ()
    told = "what the defenses are worth: no attack of this run knows them, so that all its figures are upper bounds"
    return (f"{told}; its command with --attack adaptive adds those that do",)


def _glossary(catalog: Catalog, summary: RunSummary, members: Sequence[CellCounts]) -> dict[str, str]:
    """Return what the defenses and the attacks of a run are, those of its ensembles last."""
    attacks = dict.fromkeys((*summary.attacks, *(count.cell.attack for count in members)))
    defenses = {name: catalog.defenses[name].spec.summary for name in summary.defenses if name in catalog.defenses}
    return defenses | {name: catalog.attacks[name].spec.summary for name in attacks if name in catalog.attacks}


def _samples(store: ResultStore, summary: RunSummary, own: Observed) -> dict[str, Judged]:
    """Return attacked images by what they are of: under the strongest attacks, and under the worst that is naive."""
    texts = tuple(own.attacked)
    shown = texts if len(texts) <= 2 else (texts[(len(texts) - 1) // 2], texts[-1])  # noqa: PLR2004 (two panels are enough)
    found = {f"{own.behind[text]}, epsilon {text}": own.attacked[text] for text in shown}
    naive = [row for row in summary.worst if row.defense == own.cell.defense and row.knowledge == "naive"]
    if naive:
        row = min(naive, key=lambda row: row.accuracy)
        count = own.cells.get(row.attack, {}).get(row.worst_case_epsilon)
        name = f"{row.attack}, epsilon {row.worst_case_epsilon}"
        if count is not None and name not in found:
            found[name] = Judged.of(store.outcomes(summary.run.id, count.cell.key))
    return found


def _specimens(
    store: ResultStore,
    summary: RunSummary,
    counts: Sequence[CellCounts],
    db: str,
    load: Callable[[str], tuple[Split, Sequence[str]]],
) -> tuple[tuple[Specimen, ...], str]:
    """Return images to look at, and why there are none."""
    try:
        found = pick_specimens(store, summary, counts, examples_folder(db), lambda: load(summary.run.dataset))
    except RobenchError as error:
        return (), f"The attacked images that are kept cannot be shown: {error.message}. Mend: {error.hint or '-'}."
    return found, "" if found else _NOTHING_KEPT
