"""Defenses of many stores and archives, ranked by what is left of them."""

from __future__ import annotations

import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from robench.analysis.card import diagnostics_that_count, failed_diagnostics
from robench.analysis.evidence import CLEAN_ACCURACY, STRICT
from robench.analysis.summary import withstood
from robench.api.leaderboard import Board, Entry, NaiveClaim
from robench.errors import DataError, RobenchError, UsageError
from robench.session.cards import build_cards
from robench.session.evidence import gather_evidence
from robench.session.summaries import summarise_stored
from robench.session.upkeep import import_archive, merge
from robench.storage.archive import Archive
from robench.storage.location import ANOTHER, Location
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from robench.analysis.evidence import Evidence
    from robench.api.records import Card, Run, RunSummary

_ANOTHER_SOURCE = "name another store or archive"
_NAIVE = ("naive", "oblivious")
_NO_CLAIM = NaiveClaim(attack="", accuracy=2.0)
"""More than any."""


def leaderboard(
    sources: Sequence[str], asked: Sequence[str] | None, declared: Callable[[str, str], tuple[str, ...]]
) -> tuple[Board, ...]:
    """Put the defenses of several stores beside each other; see ``Session.leaderboard``.

    All are taken into one store first. So whatever one of them says has been checked, and what anybody has won over a
    defense counts, whoever evaluated it.

    Args:
        sources: Paths or URLs of stores, and archives.
        asked: The epsilons that count; None for those that are declared.
        declared: Returns them for a data set and a norm; none for all that were evaluated.

    Raises:
        UsageError: None of them has a defense that was attacked, or nothing was evaluated at any epsilon asked for.
    """
    brought: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="robench-") as folder, _hinting():
        db = str(Path(folder) / "all.db")
        for source in sources:
            for run in _take_in(db, source):
                brought.setdefault(run, []).append(_name(source))
        with ResultStore.open(db, create=False) as store:
            found = [entry for run in store.runs() for entry in _entries(store, run, brought[run.id])]
    if not found:
        message = f"{', '.join(map(_name, sources))}: no defense in there was attacked, so there is nothing to rank"
        raise UsageError(message, "attack some first: robench run --attack adaptive")
    boards: dict[tuple[str, str, str], list[_Found]] = {}
    for one in _best(found):
        boards.setdefault((one.dataset, one.norm, one.data_digest), []).append(one)
    evaluated = _evaluated(found)
    if asked and not set(asked).intersection(evaluated):
        message = f"--epsilons {','.join(asked)}: nothing was evaluated there"
        raise UsageError(message, f"evaluated were {', '.join(evaluated) or 'none'}")
    return tuple(
        Board(
            dataset=dataset,
            norm=norm,
            data_digest=digest,
            epsilons=tuple(asked or declared(dataset, norm) or _evaluated(entries)),
            entries=tuple(one.entry for one in entries),
        )
        for (dataset, norm, digest), entries in sorted(boards.items())
    )


class _Found:
    """An entry with what decides which board it belongs to, and whether another of the same defense is better."""

    def __init__(self, summary: RunSummary, evidence: Evidence, entry: Entry, subject: str) -> None:
        digest = summary.details.get("data_digest")
        self.dataset, self.norm = summary.run.dataset, summary.norm
        self.data_digest = digest if isinstance(digest, str) else ""
        self.entry = entry
        self.identity = (self.dataset, self.norm, self.data_digest, subject or f"{summary.run.id} {evidence.defense}")
        self.worth = (not entry.doubts, evidence.adaptive, len(evidence.clean.image), summary.run.created)


def _take_in(db: str, source: str) -> list[str]:
    """Take a store or an archive in and return the ids of its runs.

    Raises:
        UsageError: If there is no such file.
        RobenchError: If it is damaged, was altered, or says something else than another one about the same outcome.
    """
    path = Path(source)
    if not source or ("://" not in source and not path.exists()):
        message = f'"{source}": there is no such file'
        raise UsageError(message, "name stores, or archives that robench db export has written")
    if "://" not in source and path.is_file() and zipfile.is_zipfile(path):
        import_archive(db, path)
        with Archive(path) as archive:
            return [parcel.run.id for parcel in archive.runs()]
    merge(db, [source])
    with ResultStore.open(source, create=False) as store:
        return [run.id for run in store.runs()]


@contextmanager
def _hinting() -> Iterator[None]:
    """Let hints speak of the stores and archives that were named: there is no --db here."""
    try:
        yield
    except RobenchError as error:
        error.hint = error.hint.replace(ANOTHER, _ANOTHER_SOURCE)
        raise


def _name(source: str) -> str:
    """Return the name of a file, or of a server's database: nothing of where it is, and no password."""
    place = Location.parse(source)
    return place.path.name if place.path is not None else place.url.database or "a server"


def _entries(store: ResultStore, run: Run, sources: Sequence[str]) -> list[_Found]:
    """Return an entry for each defense of a run that was attacked.

    Raises:
        DataError: If its records hang together, but make no sense. Strangers may have written them.
    """
    try:
        summary = summarise_stored(store, run)
        evidence = gather_evidence(store, summary)
        cards = build_cards(evidence, summary)
        subjects = {count.cell.defense: count.cell.subject for count in store.counts(run.id)}
        return [
            _Found(summary, own, _entry(summary, own, cards[defense], sources), subjects[defense])
            for defense, own in evidence.items()
            if own.worst
        ]
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        message = f"{', '.join(sources)}: run {run.id} is not as robench writes one: {error}"
        raise DataError(message, "leave it out, or ask whoever sent it") from error


def _entry(summary: RunSummary, evidence: Evidence, card: Card, sources: Sequence[str]) -> Entry:
    known = {(metric.epsilon, metric.name): metric for metric in card.metrics}
    naive: dict[str, NaiveClaim] = {}
    for count in evidence.alone:
        claim = NaiveClaim(attack=count.cell.attack, accuracy=withstood(count) / count.n)
        epsilon = count.cell.epsilon
        if count.cell.knowledge in _NAIVE and claim.accuracy < naive.get(epsilon, _NO_CLAIM).accuracy:
            naive[epsilon] = claim
    worst = {epsilon: known[epsilon, STRICT] for epsilon in evidence.worst}
    digest, replay = evidence.facts.get("digest"), summary.details.get("replay")
    return Entry(
        defense=evidence.defense,
        digest=digest if isinstance(digest, str) else "",
        run=summary.run,
        sources=tuple(dict.fromkeys(sources)),
        card=card,
        clean=known["", CLEAN_ACCURACY],
        worst=worst,
        naive=naive,
        doubts=tuple(_doubts(summary, evidence)),
        warnings=diagnostics_that_count(evidence, "WARN"),
        replay=replay if isinstance(replay, str) else "",
    )


def _doubts(summary: RunSummary, evidence: Evidence) -> Iterator[str]:
    if not summary.complete:
        yield "the run is not complete"
    if not evidence.adaptive:
        yield "no attack that knows the defense was run on it"
    if not evidence.findings:
        yield "not diagnosed"
    if failed := failed_diagnostics(evidence):
        yield f"diagnostics failed: {', '.join(failed)}"


def _best(found: Sequence[_Found]) -> list[_Found]:
    """Keep one entry of each defense in each norm: one that can be ranked, then the one over most images."""
    best: dict[tuple[str, ...], _Found] = {}
    for one in sorted(found, key=lambda one: one.worth):
        best[one.identity] = one
    return list(best.values())


def _evaluated(entries: Sequence[_Found]) -> tuple[str, ...]:
    return tuple(sorted({epsilon for one in entries for epsilon in one.entry.worst}, key=float))
