"""Ownership of runs: whoever fills a run last owns it, and nobody else may write to it any more.

A process that was only stopped, or cut off, may come back when another has taken its place. It must not go on as if
nothing had happened: its first write finds the token of the other.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects import sqlite

from robench.errors import IncompleteError
from robench.processes import is_gone, this_process
from robench.storage.models import CLAIMS, RUNS

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Claims:
    """The runs that one open store fills."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}

    def take(self, connection: Connection, run_id: str) -> None:
        """Make a run ours, whoever had it; it is in the store.

        Raises:
            IncompleteError: It was ours, and somebody has taken it over since.
        """
        if run_id in self._tokens:
            self._check(connection, run_id)
            return
        token = uuid.uuid4().hex
        values = {"run_id": run_id, "token": token, "process": this_process()}
        if connection.dialect.name == "sqlite":
            new = sqlite.insert(CLAIMS).values(values)
            connection.execute(new.on_conflict_do_update(index_elements=["run_id"], set_=values))
        else:
            from sqlalchemy.dialects import postgresql

            row = postgresql.insert(CLAIMS).values(values)
            connection.execute(row.on_conflict_do_update(index_elements=["run_id"], set_=values))
        self._tokens[run_id] = token

    def check(self, connection: Connection) -> None:
        """Make sure that nobody has taken over a run of ours, and that nobody does before the transaction ends.

        Raises:
            IncompleteError: Somebody has.
        """
        for run_id in sorted(self._tokens):  # in one order, or two processes would lock them crosswise
            self._check(connection, run_id)

    def _check(self, connection: Connection, run_id: str) -> None:
        # FOR UPDATE makes whoever takes over on PostgreSQL wait; on SQLite there is one writer at a time.
        query = select(CLAIMS.c.token, CLAIMS.c.process).where(CLAIMS.c.run_id == run_id).with_for_update()
        found = connection.execute(query).one_or_none()
        if found is None or found.token != self._tokens[run_id]:
            host, _, number, *_ = [*found.process.split(), "", "", ""] if found is not None else ["", "", ""]
            who = f"process {number} on {host}" if number else "another process"
            message = f"run {run_id} was taken over by {who}"
            raise IncompleteError(message, "what this one had stored is kept; let the other finish the run")


def abandoned(connection: Connection) -> set[str]:
    """Collect the runs that are said to be running, though the process that filled them is certainly gone."""
    query = select(CLAIMS.c.run_id, CLAIMS.c.process).join(RUNS, RUNS.c.id == CLAIMS.c.run_id)
    running = connection.execute(query.where(RUNS.c.status == "running"))
    return {run_id for run_id, process in running if is_gone(process)}
