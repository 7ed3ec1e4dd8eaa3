"""What travels from one store to another: the same records, whether they come from a store or from an archive."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (decoding reads annotations at run time)
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from sqlalchemy import select

from robench.api.records import Card, Cell, Finding, ImageOutcome, Outcome, Run
from robench.storage import reads
from robench.storage.models import CELLS, OUTCOMES, RUN_CELLS, RUNS, SHARDS
from robench.storage.rows import columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True)
class ListedCell:
    """A cell that a run asks for.

    Attributes:
        key: Of the cell.
        role: Whether it is among the results of the run, or a member of one of its ensembles.
        failure: Why it failed in this run; empty when it did not.
    """

    key: str
    role: Literal["cell", "member"]
    failure: str


@dataclass(frozen=True, kw_only=True)
class RunParcel:
    """A run with everything it says.

    Attributes:
        run: The request.
        cells: What it asks for, in order.
        findings: By defense, in order.
        cards: All versions of all cards, in the order in which they were stored.
    """

    run: Run
    cells: tuple[ListedCell, ...]
    findings: Mapping[str, tuple[Finding, ...]]
    cards: tuple[Card, ...]


@dataclass(frozen=True, kw_only=True)
class ShardParcel:
    """Outcomes of one cell that were committed together.

    Attributes:
        cell: Key of the cell.
        sha256: Of the outcomes, see ``robench.storage.rows.shard_sha256``.
        seconds: Wall time of search and judgement.
        queries: Images that went through the defense.
        environment: Versions and hardware, as JSON text.
        created: UTC, ISO 8601.
        outcomes: By position, ascending.
    """

    cell: str
    sha256: str
    seconds: float
    queries: int
    environment: str
    created: str
    outcomes: tuple[ImageOutcome, ...]


class Source(Protocol):
    """Where records come from; each method may be called again."""

    label: str
    """Names it in messages."""

    def cells(self) -> Iterator[Cell]:
        """Yield all cells, by key."""

    def runs(self) -> Iterator[RunParcel]:
        """Yield all runs, oldest first."""

    def shards(self) -> Iterator[ShardParcel]:
        """Yield all shards, by the key of their cell."""


class StoreSource:
    """Runs of a store, or all of them, within the caller's transaction.

    Args:
        connection: In a transaction that sees one state of the store.
        label: Of the store.
        runs: Ids; None for all runs, and for cells of none.
    """

    def __init__(self, connection: Connection, label: str, runs: Sequence[str] | None = None) -> None:
        self.label = label
        self._connection = connection
        query = select(CELLS.c.id, CELLS.c.key).order_by(CELLS.c.id)
        if runs is not None:
            query = query.where(CELLS.c.id.in_(select(RUN_CELLS.c.cell_id).where(RUN_CELLS.c.run_id.in_(runs))))
        # Sorted here: a server may collate text in another order than that of its bytes.
        self._cells = sorted(((key, number) for number, key in connection.execute(query)))
        self._runs = runs

    def cells(self) -> Iterator[Cell]:
        """Yield all cells, by key."""
        for _, number in self._cells:
            query = select(*columns(CELLS, Cell)).where(CELLS.c.id == number)
            yield Cell(**self._connection.execute(query).mappings().one())

    def runs(self) -> Iterator[RunParcel]:
        """Yield all runs, oldest first."""
        query = select(*columns(RUNS, Run)).order_by(RUNS.c.created, RUNS.c.number)
        if self._runs is not None:
            query = query.where(RUNS.c.id.in_(self._runs))
        for row in self._connection.execute(query).mappings().all():
            run = Run(**row)
            yield RunParcel(
                run=run,
                cells=listed_cells(self._connection, run.id),
                findings=reads.findings(self._connection, run.id),
                cards=reads.all_cards(self._connection, run.id),
            )

    def shards(self) -> Iterator[ShardParcel]:
        """Yield all shards, by the key of their cell."""
        for key, number in self._cells:
            query = select(SHARDS).where(SHARDS.c.cell_id == number).order_by(SHARDS.c.id)
            shards = self._connection.execute(query).mappings().all()
            members: dict[int, list[ImageOutcome]] = {row["id"]: [] for row in shards}
            wanted = select(*columns(OUTCOMES, ImageOutcome), OUTCOMES.c.shard_id).where(OUTCOMES.c.cell_id == number)
            for row in self._connection.execute(wanted.order_by(OUTCOMES.c.position)).mappings():
                fields = {**row, "outcome": Outcome(row["outcome"])}
                members[fields.pop("shard_id")].append(ImageOutcome(**fields))
            for row in shards:
                yield ShardParcel(
                    cell=key,
                    outcomes=tuple(members[row["id"]]),
                    **{name: row[name] for name in ("sha256", "seconds", "queries", "environment", "created")},
                )


def listed_cells(connection: Connection, run_id: str) -> tuple[ListedCell, ...]:
    """List the cells of a run in their order."""
    query = (
        select(CELLS.c.key, RUN_CELLS.c.role, RUN_CELLS.c.failure)
        .join(RUN_CELLS, RUN_CELLS.c.cell_id == CELLS.c.id)
        .where(RUN_CELLS.c.run_id == run_id)
        .order_by(RUN_CELLS.c.position)
    )
    return tuple(ListedCell(**row) for row in connection.execute(query).mappings())
