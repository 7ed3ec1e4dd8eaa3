"""The result store: who opens it, what may be asked of it, and what each call promises."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Self

from robench.errors import IncompleteError, RobenchError, StoreError, UsageError
from robench.storage import connection as connections
from robench.storage import info, reads, schema, writes
from robench.storage.claims import Claims, abandoned
from robench.storage.failures import explained
from robench.storage.location import Location
from robench.storage.parcels import StoreSource
from robench.storage.receiving import receive
from robench.storage.rows import refuse_unstorable_cell, refuse_unstorable_shard
from robench.storage.signals import signals_held
from robench.storage.verify import verify

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from sqlalchemy import Connection, Engine

    from robench.api.records import Card, Cell, CellCounts, Finding, ImageOutcome, Run, RunStatus, Shard, Win
    from robench.storage.info import StoreInfo
    from robench.storage.parcels import Source
    from robench.storage.receiving import Receipt
    from robench.storage.verify import Verification


_BYTES_PER_OUTCOME = 64
"""In a SQLite file, measured: 57 with a score."""


class ResultStore:
    """Runs, cells and outcomes in one database. A context manager; every method is one transaction.

    Every method raises StoreError where the database cannot be used. Once ``add_run`` has recorded a run, what a
    user can mend (a full disk, a lock held for 30 s) raises IncompleteError instead: the same command then resumes.
    """

    def __init__(self, engine: Engine, location: Location) -> None:
        self._engine = engine
        self._location = location
        self._mendable: type[RobenchError] = StoreError
        self._claims = Claims()

    @classmethod
    def open(cls, location: str, *, create: bool) -> Self:
        """Open a store.

        Args:
            location: A path, or a SQLAlchemy URL if it contains ``://``.
            create: Whether to write to it, make it where there is none, and upgrade the schema of an older robench. A
                SQLite file is copied first, to ``<path>.schema-<old revision>.bak``; a server's database is not.

        Raises:
            StoreError: There is none, it is no store, its schema is not the newest, or it cannot be used.
        """
        place = Location.parse(location)
        with explained(place):
            if create:
                place.check_writable()
            else:
                place.check_file()
            engine = connections.connect(place)
            try:
                if create:
                    schema.ensure(engine, place)
                else:
                    schema.require(engine, place)
            except BaseException:
                engine.dispose()
                raise
        return cls(engine, place)

    @staticmethod
    def check(location: str) -> str:
        """Find every fault that shows without writing or creating anything.

        Args:
            location: As for ``open``; that there is no file yet is no fault.

        Returns:
            What is dangerous about the place, though it works; nothing where all is well.

        Raises:
            StoreError: It is not a SQLite file, of another program or a newer schema, or could not be written.
        """
        place = Location.parse(location)
        with explained(place):
            place.check_writable()
            engine = connections.connect(place)
            try:
                schema.known_revision(engine, place)
            finally:
                engine.dispose()
        return place.warning()

    def require_space(self, outcomes: int) -> None:
        """Refuse to begin a run whose outcomes would not fit on the disk; a server looks after its own.

        Raises:
            StoreError: There is too little space.
        """
        with explained(self._location):
            self._location.check_space(outcomes * _BYTES_PER_OUTCOME)

    @staticmethod
    def upgrade(location: str) -> tuple[str, str]:
        """Bring the schema of a store up to date, as opening it to write would.

        Args:
            location: As for ``open``.

        Returns:
            The revisions before and after, which are the same where there was nothing to do.

        Raises:
            StoreError: There is none, it is no store, of a newer schema, or cannot be used.
        """
        place = Location.parse(location)
        with explained(place):
            place.check_writable()
            engine = connections.connect(place)
            try:
                before = schema.known_revision(engine, place)
                if before is None:
                    schema.require(engine, place)
                schema.ensure(engine, place)
            finally:
                engine.dispose()
        return before or "", schema.REVISIONS[-1]

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def add_run(self, run: Run, cells: Sequence[Cell], members: Sequence[Cell] = ()) -> None:
        """Record a request before its work begins, or that it goes on.

        A run that is there already is set to ``running`` and keeps everything else; its failures are cleared. Cells
        that are there already are shared with the runs that brought them. The run is ours from now on: whichever store
        filled it before can write no more, which it is told with an IncompleteError.

        Args:
            run: The request.
            cells: What it asks for, in order.
            members: Cells of the members of its ensembles, in order: stored alike, but not among its results.

        Raises:
            StoreError: A threshold is not finite.
        """
        for cell in (*cells, *members):
            refuse_unstorable_cell(cell)
        with self._write(owning=False) as connection:
            writes.add_request(connection, run)
            # Before the run is locked: whoever fills it now locks its claim first, too.
            self._claims.take(connection, run.id)
            writes.add_run(connection, run, cells, members)
        self._mendable = IncompleteError

    def set_status(self, run_id: str, status: RunStatus) -> None:
        """Say how far a run came.

        Raises:
            StoreError: There is no such run.
        """
        with self._write() as connection:
            self._require(writes.set_status(connection, run_id, status), f"run {run_id}")

    def missing(self, cell_key: str, images: int) -> tuple[int, ...]:
        """List the positions below ``images`` that have no outcome yet, ascending."""
        with self._read() as connection:
            stored = reads.positions(connection, cell_key, 0, images - 1)
        return tuple(position for position in range(images) if position not in stored)

    def add_shard(self, cell_key: str, shard: Shard) -> None:
        """Store the outcomes of one shard; see ``add_shards``."""
        self.add_shards([(cell_key, shard)])

    def add_shards(self, shards: Sequence[tuple[str, Shard]]) -> None:
        """Store the outcomes of several shards, all or none. When this returns, they survive a power cut.

        An outcome that is there already stays as it is, so a shard may be sent twice, or by two processes. A sweep
        stores the shards of all its epsilons at once, so that the disk is waited for once.

        Args:
            shards: Each with the key of its cell.

        Raises:
            StoreError: There is no such cell, a number is not finite, a position occurs twice in a shard, or an outcome
                is not that of its draws.
        """
        for cell_key, shard in shards:
            refuse_unstorable_shard(cell_key, shard)
        with self._write() as connection:
            # In order of their keys: two writers that lock the same cells crosswise would wait for each other for ever.
            for cell_key, shard in sorted(shards, key=itemgetter(0)):
                self._require(writes.add_shard(connection, cell_key, shard), f"cell {cell_key}")

    def fail_cell(self, run_id: str, cell_key: str, reason: str) -> None:
        """Record why a cell of a run could not be evaluated; outcomes it has are kept.

        Raises:
            StoreError: The run does not ask for that cell.
        """
        with self._write() as connection:
            found = writes.fail_cell(connection, run_id, cell_key, reason)
            self._require(found, f"run {run_id} with cell {cell_key}")

    def runs(self) -> tuple[Run, ...]:
        """List all runs, newest first. One whose process was killed while it was running is ``interrupted``."""
        with self._read() as connection:
            gone = abandoned(connection)
            runs = reads.all_runs(connection)
        return tuple(dataclasses.replace(run, status="interrupted") if run.id in gone else run for run in runs)

    def find_run(self, prefix: str | None) -> Run:
        """Find a run by the beginning of its id.

        Args:
            prefix: As many digits as make it unique; None for the newest run.

        Raises:
            StoreError: There are no runs at all.
            UsageError: None, or more than one, begins like that.
        """
        if prefix == "":
            message = "the beginning of a run's id is empty"
            raise UsageError(message, "robench runs list has the ids")
        runs = self.runs()
        if not runs:
            message = f"{self._location} holds no runs yet"
            raise StoreError(message, "start one with robench run")
        return runs[0] if prefix is None else reads.pick_run(runs, prefix)

    def counts(self, run_id: str) -> tuple[CellCounts, ...]:
        """Count the outcomes of every cell of a run, in the order of the request; members of ensembles are none.

        Raises:
            StoreError: There is no such run.
        """
        with self._read() as connection:
            return reads.cell_counts(connection, run_id, self._images(connection, run_id), "cell")

    def member_counts(self, run_id: str) -> tuple[CellCounts, ...]:
        """Count the outcomes of every member's cell of a run, in order: of the images that it was tried on.

        Raises:
            StoreError: There is no such run.
        """
        with self._read() as connection:
            return reads.cell_counts(connection, run_id, self._images(connection, run_id), "member")

    def outcomes(self, run_id: str, cell_key: str) -> tuple[ImageOutcome, ...]:
        """List the outcomes of a cell or member of a run by position; empty where the run does not ask for it.

        Raises:
            StoreError: There is no such run.
        """
        with self._read() as connection:
            return reads.image_outcomes(connection, run_id, cell_key, self._images(connection, run_id))

    def lowest_wins(
        self, subject: str, norm: str, images: Collection[int] | None = None, *, run_id: str | None = None
    ) -> tuple[Win, ...]:
        """Find the smallest epsilon that ever won for each image, whichever run, seed or attack brought it.

        A stochastic defense may lose by a lucky draw. So a win over one counts only where the image was judged more
        than once, and never in a member's cell: the ensemble's judges the example that won again.

        Args:
            subject: Of the cells; the unknown one, which is empty, has no wins.
            norm: ``linf`` or ``l2``: epsilons of one say nothing about balls of the other.
            images: Indices in the test split to keep; None for all.
            run_id: A run whose cells alone count; None for those of all runs.

        Returns:
            By image, ascending; images that were never wrong are missing.
        """
        if not subject:
            return ()
        with self._read() as connection:
            wins = reads.lowest_wins(connection, subject, norm, run_id)
        # Not in the query: databases limit the number of its parameters.
        kept = None if images is None else frozenset(images)
        return tuple(win for win in wins if kept is None or win.image in kept)

    def add_findings(self, run_id: str, defense: str, findings: Sequence[Finding]) -> None:
        """Record what diagnostics found out about a defense, in place of what they had before.

        Raises:
            StoreError: There is no such run.
        """
        with self._write() as connection:
            self._images(connection, run_id)
            writes.add_findings(connection, run_id, defense, findings)

    def findings(self, run_id: str) -> Mapping[str, tuple[Finding, ...]]:
        """Say what diagnostics found out, by defense; empty where none ran.

        Raises:
            StoreError: There is no such run.
        """
        with self._read() as connection:
            self._images(connection, run_id)
            return reads.findings(connection, run_id)

    def add_card(self, run_id: str, card: Card) -> None:
        """Record an evaluation card; older versions are kept.

        Raises:
            StoreError: There is no such run.
        """
        with self._write() as connection:
            self._images(connection, run_id)
            writes.add_card(connection, run_id, card)

    def cards(self, run_id: str) -> Mapping[str, Card]:
        """Find the newest evaluation card of each defense.

        Raises:
            StoreError: There is no such run.
        """
        with self._read() as connection:
            self._images(connection, run_id)
            return reads.cards(connection, run_id)

    def describe(self) -> StoreInfo:
        """Gather what ``robench doctor`` says about the store."""
        with explained(self._location, self._mendable):
            return info.gather(self._engine, self._location)

    def verify(self) -> Verification:
        """Compute every digest anew, and hold the tables against each other."""
        with explained(self._location):
            return verify(self._engine, self._location)

    def back_up(self, copy: Path) -> None:
        """Copy the file as the last commit left it, though it be in use.

        Args:
            copy: Where to; what is there is replaced.

        Raises:
            UsageError: The store is on a server.
            StoreError: The file is damaged, or the copy cannot be written.
        """
        if self._location.path is None:
            message = f"{self._location} is on a server, which makes its own backups"
            raise UsageError(message, "pg_dump --format=custom --file=FILE DATABASE, or robench db export")
        with explained(self._location):
            connections.back_up(self._location.path, copy)

    @contextmanager
    def source(self, runs: Sequence[str] | None = None) -> Iterator[StoreSource]:
        """Give what another store or an archive may take from here, as one moment saw it.

        Args:
            runs: Ids; None for all.
        """
        with explained(self._location), connections.reading(self._engine) as connection:
            yield StoreSource(connection, str(self._location), runs)

    def receive(self, source: Source) -> Receipt:
        """Take in what is new of another store or of an archive, all or nothing; signals are not held meanwhile.

        Args:
            source: Checked, see ``robench.storage.receiving.check``.

        Raises:
            RobenchError: Something differs from what is here under the same name.
        """
        with explained(self._location), connections.writing(self._engine) as connection:
            return receive(connection, source)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with signals_held(), explained(self._location, self._mendable), connections.reading(self._engine) as connection:
            yield connection

    @contextmanager
    def _write(self, *, owning: bool = True) -> Iterator[Connection]:
        with signals_held(), explained(self._location, self._mendable), connections.writing(self._engine) as connection:
            if owning:
                self._claims.check(connection)
            yield connection

    def _images(self, connection: Connection, run_id: str) -> int:
        images = reads.images_of(connection, run_id)
        self._require(images is not None, f"run {run_id}")
        return images or 0

    def _require(self, found: bool, what: str) -> None:
        if not found:
            message = f"{self._location} holds no {what}"
            raise StoreError(message)
