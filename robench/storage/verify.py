"""Finds what was altered: every digest of a store is computed anew, and its tables are held against each other."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, create_engine, func, or_, select, type_coerce
from sqlalchemy.exc import DBAPIError

from robench.api.records import Cell, ImageOutcome, Outcome
from robench.storage import connection as connections
from robench.storage import reads, schema, seals
from robench.storage.models import CELLS, METADATA, OUTCOMES, RUN_CELLS, RUNS, SHARDS
from robench.storage.rows import columns, has_own_key, shard_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine, RowMapping

    from robench.storage.location import Location

    Row = RowMapping | Mapping[str, Any]

_RESTORE = "restore the store from a backup, or evaluate into another one with --db"
_NOT_JSON = (TypeError, ValueError)  # what a damaged column may hold instead of text or a number


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is not as it was written.

    Attributes:
        runs: Ids of the runs whose figures it touches; empty if it may be any.
        cell: Key of the cell; empty where it is not about one.
        positions: Of the images, ascending; empty where it is not about some.
        what: What is wrong.
        mend: What to do about it.
    """

    runs: tuple[str, ...] = ()
    cell: str = ""
    positions: tuple[int, ...] = ()
    what: str
    mend: str = _RESTORE


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What ``verify`` looked at and found.

    Attributes:
        runs, cells, shards, outcomes: How many there are; all were looked at.
        faults: What is wrong.
    """

    runs: int
    cells: int
    shards: int
    outcomes: int
    faults: tuple[Fault, ...]


def verify(engine: Engine, location: Location) -> Verification:
    """Look at every byte that a figure depends on.

    Args:
        engine: Of a store of the newest schema.
        location: Where it is.
    """
    with connections.reading(engine) as connection:
        damage = list(_file_faults(connection)) if location.path is not None else []
        try:
            found = _inspect(connection)
        except DBAPIError:
            if not damage:
                raise
            found = Verification(runs=0, cells=0, shards=0, outcomes=0, faults=())
    return replace(found, faults=(*damage, *found.faults))


def _inspect(connection: Connection) -> Verification:
    faults = list(_orphans(connection))
    runs_of, odd = _runs_of_cells(connection), _odd_flags(connection)
    shards = outcomes = 0
    cells = connection.execute(select(CELLS).order_by(CELLS.c.id)).mappings().all()
    for cell in cells:
        runs = runs_of.get(cell["id"], ())
        if cell["id"] in odd or not _own_key(cell):
            what = f"{_title(cell)}: its fields are not those that its key was made of"
            faults.append(Fault(runs=runs, cell=str(cell["key"]), what=what))
        found = _Shards(connection, cell, runs)
        faults += found.faults()
        shards, outcomes = shards + found.shards, outcomes + found.outcomes
    ids = connection.execute(select(RUNS.c.id).order_by(RUNS.c.number)).scalars().all()
    for run_id in ids:
        faults += _run_faults(connection, run_id)
    return Verification(runs=len(ids), cells=len(cells), shards=shards, outcomes=outcomes, faults=tuple(faults))


def _file_faults(connection: Connection) -> Iterator[Fault]:
    for line in connection.exec_driver_sql("PRAGMA integrity_check").scalars():
        if line != "ok":
            yield Fault(what=f"the file is damaged: {line}")
    if _definitions(connection) != _expected_definitions():
        yield Fault(what="tables, indices or views are not defined as robench defines them")


def _definitions(connection: Connection) -> set[tuple[Any, ...]]:
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master"
    return {tuple(row) for row in connection.exec_driver_sql(query)}


@cache
def _expected_definitions() -> frozenset[tuple[Any, ...]]:
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            schema.migrate(connection)
            return frozenset(_definitions(connection))
    finally:
        engine.dispose()


def _orphans(connection: Connection) -> Iterator[Fault]:
    """Yield rows that refer to what is not there; also where the database was told not to look."""
    for table in METADATA.sorted_tables:
        for key in table.foreign_keys:
            parent = key.column.table
            query = (
                select(func.count())
                .select_from(table.outerjoin(parent, key.parent == key.column))
                .where(key.column.is_(None))
            )
            if count := connection.execute(query).scalar_one():
                yield Fault(what=f"{count:,} rows of {table.name} refer to {parent.name} that are not there")


def _odd_flags(connection: Connection) -> set[int]:
    """Return the cells whose flags are neither true nor false, which SQLite would take for both."""
    flags = [type_coerce(column, Integer) for column in (CELLS.c.stochastic, CELLS.c.member)]
    if connection.dialect.name != "sqlite":
        return set()
    return set(connection.execute(select(CELLS.c.id).where(or_(*(flag.not_in((0, 1)) for flag in flags)))).scalars())


def _runs_of_cells(connection: Connection) -> Mapping[int, tuple[str, ...]]:
    runs = defaultdict(list)
    query = select(RUN_CELLS.c.cell_id, RUN_CELLS.c.run_id).order_by(RUN_CELLS.c.run_id)
    for cell_id, run_id in connection.execute(query):
        runs[cell_id].append(run_id)
    return {cell_id: tuple(found) for cell_id, found in runs.items()}


def _title(cell: Row) -> str:
    return f"{cell['defense']}, {cell['attack']}, epsilon {cell['epsilon']}"


def _own_key(row: Row) -> bool:
    try:
        return has_own_key(Cell(**{column.name: row[column.name] for column in columns(CELLS, Cell)}))
    except _NOT_JSON:
        return False


class _Shards:
    """The outcomes of one cell, shard by shard."""

    def __init__(self, connection: Connection, cell: Row, runs: tuple[str, ...]) -> None:
        self._cell, self._runs = cell, runs
        query = select(SHARDS).where(SHARDS.c.cell_id == cell["id"])
        self._rows = {row["id"]: row for row in connection.execute(query).mappings()}
        self._members: dict[int, list[Row]] = {number: [] for number in self._rows}
        # As a number: SQLite would take any but 0 for true.
        search_won = type_coerce(OUTCOMES.c.search_won, Integer).label("search_won")
        own = [search_won if one is OUTCOMES.c.search_won else one for one in columns(OUTCOMES, ImageOutcome)]
        wanted = [*own, OUTCOMES.c.shard_id]
        for row in connection.execute(select(*wanted).where(OUTCOMES.c.cell_id == cell["id"])).mappings():
            self._members.setdefault(row["shard_id"], []).append(row)
        self.shards = len(self._rows)
        self.outcomes = sum(len(members) for members in self._members.values())

    def faults(self) -> Iterator[Fault]:
        for number, members in self._members.items():
            if number not in self._rows:
                yield self._fault(members, "belong to a shard of another cell")
            elif not self._unaltered(self._rows[number], members):
                yield self._fault(members, "outcomes differ from their digest")
            elif not _details_unaltered(self._rows[number]):
                yield self._fault(members, "seconds, queries or environment of the shard differ from their digest")

    def _unaltered(self, shard: Row, members: Iterable[Row]) -> bool:
        try:
            outcomes = [_outcome(row) for row in members]
            return bool(shard_sha256(self._cell["key"], outcomes) == shard["sha256"])
        except _NOT_JSON:
            return False

    def _fault(self, members: Sequence[Row], what: str) -> Fault:
        positions = tuple(sorted(row["position"] for row in members))
        what = f"{_title(self._cell)}: {what}"
        return Fault(runs=self._runs, cell=str(self._cell["key"]), positions=positions, what=what)


def _outcome(row: Row) -> ImageOutcome:
    fields = {name: value for name, value in row.items() if name != "shard_id"}
    return ImageOutcome(**{**fields, "outcome": Outcome(fields["outcome"])})


def _details_unaltered(shard: Row) -> bool:
    try:
        return bool(seals.shard_details_sha256(shard) == shard["details_sha256"])
    except _NOT_JSON:
        return False


def _run_faults(connection: Connection, run_id: str) -> Iterator[Fault]:
    stored = seals.sealed(connection, run_id)
    try:
        computed = seals.compute(connection, run_id)
    except _NOT_JSON:
        yield Fault(runs=(run_id,), what="the record of the run holds what is neither text nor a number")
        return
    for part in sorted(stored.keys() | computed.keys()):
        if stored.get(part) != computed.get(part):
            yield Fault(runs=(run_id,), what=f"{_PARTS.get(part, part)} of the run differ from their digest")
    yield from _lacking(connection, run_id)


_PARTS = {
    seals.REQUEST: "request and provenance",
    seals.STATUS: "the status and the id",
    seals.CELLS_PART: "the list of cells and their failures",
    seals.CARDS_PART: "the evaluation cards",
}


def _lacking(connection: Connection, run_id: str) -> Iterator[Fault]:
    """Yield what a run lacks that says it is complete."""
    status, images = connection.execute(select(RUNS.c.status, RUNS.c.images).where(RUNS.c.id == run_id)).one()
    if status != "complete":
        return
    for count in reads.cell_counts(connection, run_id, images, "cell"):
        if count.n != images and not count.failure:
            stored = reads.positions(connection, count.cell.key, 0, images - 1)
            missing = tuple(position for position in range(images) if position not in stored)
            what = f"{_title(vars(count.cell))}: the run is complete, but these outcomes are not there"
            mend = "repeat the run's command (robench runs show): it evaluates what is missing"
            yield Fault(runs=(run_id,), cell=count.cell.key, positions=missing, what=what, mend=mend)
