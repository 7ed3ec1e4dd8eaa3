"""Takes records of another store or of an archive in: checked before anything is written, and all or nothing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from sqlalchemy import select

from robench.api.records import Cell, ImageOutcome, Outcome, Run, Shard
from robench.errors import DataError, RobenchError
from robench.storage import reads, seals, writes
from robench.storage.models import CELLS, OUTCOMES, RUNS
from robench.storage.parcels import ListedCell, RunParcel, ShardParcel, Source, listed_cells
from robench.storage.rows import (
    columns,
    has_own_key,
    refuse_unstorable_cell,
    refuse_unstorable_shard,
    shard_sha256,
    values,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from robench.api.records import RunStatus

_INTEGER = 2**31
_RUN_ID = re.compile(r"[0-9a-f]{1,64}")
_REQUEST = ("dataset", "classifier", "profile", "images", "seed")
_LISTED = 5


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What came of taking records in.

    Attributes:
        runs, cells, outcomes: How many were new here.
        known_outcomes: How many were here already, and are the same.
    """

    runs: int
    cells: int
    outcomes: int
    known_outcomes: int


def check(source: Source) -> None:
    """Refuse what does not hang together, before anything of it is written.

    Raises:
        DataError: A key or a digest is not that of its record, a record names another that is not there, something
            occurs twice, or a number is out of its range.
        StoreError: A record is none that a store takes.
    """
    cells = _check_cells(source)
    _check_runs(source, cells)
    seen: dict[str, set[int]] = {}
    for parcel in source.shards():
        where = f"{source.label}: cell {parcel.cell[:12]}"
        if parcel.cell not in cells:
            _refuse(f"{where} has outcomes, but is not described")
        if any(_out_of_range(outcome) for outcome in parcel.outcomes) or parcel.queries < 0 or parcel.seconds < 0:
            _refuse(f"{where} has a number that is out of its range")
        refuse_unstorable_shard(parcel.cell, _shard(parcel, parcel.outcomes))
        if shard_sha256(parcel.cell, parcel.outcomes) != parcel.sha256:
            _refuse(f"{where} has outcomes that differ from their digest")
        positions = {outcome.position for outcome in parcel.outcomes}
        if not positions or positions & seen.setdefault(parcel.cell, set()):
            _refuse(f"{where} has outcomes twice, or a shard without any")
        seen[parcel.cell] |= positions


def _check_cells(source: Source) -> set[str]:
    keys: set[str] = set()
    for cell in source.cells():
        if cell.key in keys or not has_own_key(cell):
            problem = "is described twice" if cell.key in keys else "has fields that its key was not made of"
            _refuse(f"{source.label}: cell {cell.key[:12]} {problem}")
        refuse_unstorable_cell(cell)
        keys.add(cell.key)
    return keys


def _check_runs(source: Source, cells: set[str]) -> None:
    ids: set[str] = set()
    for parcel in source.runs():
        run = parcel.run
        where = f"{source.label}: run {run.id[:12]}"
        listed = [cell.key for cell in parcel.cells]
        if run.id in ids or not _RUN_ID.fullmatch(run.id) or not 0 < run.images < _INTEGER:
            _refuse(f"{where} is there twice, or has an id or a number of images that no run has")
        if len(set(listed)) < len(listed) or not cells.issuperset(listed):
            _refuse(f"{where} asks for a cell twice, or for one that is not described")
        try:
            details = json.loads(run.details)
        except (ValueError, RecursionError):
            details = None
        if not isinstance(details, dict):
            _refuse(f"{where} has a provenance that is no JSON object")
        ids.add(run.id)


def _out_of_range(outcome: ImageOutcome) -> bool:
    numbers = (outcome.position, outcome.image, outcome.label, outcome.prediction, outcome.draws)
    draws = outcome.draws_wrong >= 0 <= outcome.draws_rejected
    fits = all(0 <= number < _INTEGER for number in numbers) and outcome.draws >= 1 and draws
    return not fits or outcome.draws_wrong + outcome.draws_rejected > outcome.draws


def _refuse(message: str) -> NoReturn:
    raise DataError(message, "robench db verify finds what was altered in the store it came from")


def receive(connection: Connection, source: Source) -> Receipt:
    """Take in what is new.

    Outcomes are told apart by cell and position, runs by id, cells by key, cards and findings by what they say. What is
    here already stays as it is. A run that both have goes on: it has the outcomes of both.

    Args:
        connection: In a transaction that is rolled back if this raises.
        source: Checked.

    Raises:
        RobenchError: Something differs from what is here under the same name.
    """
    return _Receiving(connection, source).receive()


class _Receiving:
    def __init__(self, connection: Connection, source: Source) -> None:
        self._connection, self._source = connection, source
        self._conflicts: list[str] = []
        self._runs = self._cells = self._new = self._known = 0
        self._titles: dict[str, str] = {}

    def receive(self) -> Receipt:
        self._receive_cells()
        for shard in self._source.shards():
            self._receive_shard(shard)
        touched = [self._receive_run(run) for run in self._source.runs()]
        if self._conflicts:
            shown = "; ".join(self._conflicts[:_LISTED])
            more = f"; and {len(self._conflicts) - _LISTED:,} more" if len(self._conflicts) > _LISTED else ""
            message = f"{self._source.label}: not the same as what the store has: {shown}{more}"
            hint = "nothing was taken in; robench db verify says whether one of them was altered"
            raise RobenchError(message, hint)
        for run_id, status in touched:
            self._settle(run_id, status)
        return Receipt(runs=self._runs, cells=self._cells, outcomes=self._new, known_outcomes=self._known)

    def _receive_cells(self) -> None:
        new = []
        for cell in self._source.cells():
            self._titles[cell.key] = f"cell {cell.key[:12]} ({cell.defense}, {cell.attack}, epsilon {cell.epsilon})"
            query = select(*columns(CELLS, Cell)).where(CELLS.c.key == cell.key)
            known = self._connection.execute(query).mappings().one_or_none()
            if known is None:
                new.append(cell)
            elif Cell(**known) != cell:
                self._conflicts.append(f"{self._titles[cell.key]} has other fields")
        writes.add_cells(self._connection, new)
        self._cells = len(new)

    def _receive_shard(self, parcel: ShardParcel) -> None:
        stored = self._stored(parcel)
        new = tuple(outcome for outcome in parcel.outcomes if outcome.position not in stored)
        differing = [o.position for o in parcel.outcomes if _contradict(stored.get(o.position, o), o)]
        if differing:
            title = self._titles[parcel.cell]
            self._conflicts.append(f"{title}: outcomes at positions {format_positions(differing)}")
        elif new:
            writes.add_shard(self._connection, parcel.cell, _shard(parcel, new), parcel.created)
        self._new += len(new)
        self._known += len(stored)

    def _stored(self, parcel: ShardParcel) -> dict[int, ImageOutcome]:
        wanted = {outcome.position for outcome in parcel.outcomes}
        query = (
            select(*columns(OUTCOMES, ImageOutcome))
            .join(CELLS, CELLS.c.id == OUTCOMES.c.cell_id)
            .where(CELLS.c.key == parcel.cell, OUTCOMES.c.position.between(min(wanted), max(wanted)))
        )
        found = (
            ImageOutcome(**{**row, "outcome": Outcome(row["outcome"])})
            for row in self._connection.execute(query).mappings()
        )
        return {outcome.position: outcome for outcome in found if outcome.position in wanted}

    def _receive_run(self, parcel: RunParcel) -> tuple[str, RunStatus]:
        """Take in a run; return its id and how far it had come where it came from."""
        run = parcel.run
        query = select(*columns(RUNS, Run)).where(RUNS.c.id == run.id).with_for_update()
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            writes.insert_new(self._connection, RUNS, [values(replace(run, status="interrupted"))])
            seals.seal(self._connection, run.id, seals.REQUEST, seals.STATUS)
            self._list(run.id, parcel.cells)
            self._runs += 1
        else:
            known = Run(**row)
            other = [name for name in _REQUEST if getattr(known, name) != getattr(run, name)]
            if other:
                self._conflicts.append(f"run {run.id} has another {', '.join(other)}")
            # What a run asks for changes only where an ensemble had to do without an attack that failed.
            if run.status == "complete" and known.status != "complete":
                self._list(run.id, parcel.cells)
        findings = reads.findings(self._connection, run.id)
        for defense, found in parcel.findings.items():
            if defense not in findings:
                writes.add_findings(self._connection, run.id, defense, found)
        cards = reads.all_cards(self._connection, run.id)
        for card in parcel.cards:
            if card not in cards:
                writes.add_card(self._connection, run.id, card)
        return run.id, run.status

    def _list(self, run_id: str, cells: tuple[ListedCell, ...]) -> None:
        writes.list_cells(self._connection, run_id, [(cell.key, cell.role, cell.failure) for cell in cells])

    def _settle(self, run_id: str, brought: RunStatus) -> None:
        """Say how far the run has come with the outcomes of both; a cell that has them all has not failed."""
        images = reads.images_of(self._connection, run_id) or 0
        counts = reads.cell_counts(self._connection, run_id, images, "cell")
        whole = {count.cell.key for count in counts if count.n == images}
        cells = listed_cells(self._connection, run_id)
        mended = tuple(replace(cell, failure="") if cell.key in whole else cell for cell in cells)
        if mended != cells:
            self._list(run_id, mended)
        status: RunStatus = self._connection.execute(select(RUNS.c.status).where(RUNS.c.id == run_id)).scalar_one()
        if len(whole) == len(counts) and counts:
            now: RunStatus = "failed" if any(cell.failure for cell in mended) else "complete"
        else:
            now = brought if brought == "failed" and status == "interrupted" else status
        if now != status:
            writes.set_status(self._connection, run_id, now)


def _contradict(known: ImageOutcome, brought: ImageOutcome) -> bool:
    """Say whether two outcomes of an image differ, apart from what only one of them was watched for."""
    if None in {known.search_won, brought.search_won}:
        return replace(known, search_won=None) != replace(brought, search_won=None)
    return known != brought


def _shard(parcel: ShardParcel, outcomes: tuple[ImageOutcome, ...]) -> Shard:
    return Shard(outcomes=outcomes, seconds=parcel.seconds, queries=parcel.queries, environment=parcel.environment)


def format_positions(positions: list[int] | tuple[int, ...]) -> str:
    """Write ascending positions as ranges, such as ``0-4, 7``."""
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in _ranges(positions))


def _ranges(positions: list[int] | tuple[int, ...]) -> Iterator[tuple[int, int]]:
    first = last = None
    for position in positions:
        if first is None or last is None:
            first = last = position
        elif position == last + 1:
            last = position
        else:
            yield first, last
            first = last = position
    if first is not None and last is not None:
        yield first, last
