"""Digests beside the records of runs, so that an altered byte of them shows; outcomes have those of their shards.

The parts of a run are sealed on their own, each when it is written, so that writing one does not vouch for another:

- ``request``: the run but for its status, once and for all;
- ``status``;
- ``cells``: which cells it asks for, in which order and role, and why they failed;
- ``findings DEFENSE``: in their order;
- ``cards``: a chain over all versions of all cards, oldest first; one that is added continues it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from robench.storage.models import CARDS, CELLS, FINDINGS, RUN_CELLS, RUNS, SEALS, SHARDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, RowMapping

REQUEST, STATUS, CELLS_PART, CARDS_PART = "request", "status", "cells", "cards"
_FINDINGS = "findings "
_REQUEST_COLUMNS = ("number", "id", "command", "created", "dataset", "classifier", "profile", "images", "seed")
_SHARD_COLUMNS = ("sha256", "seconds", "queries", "environment", "created")


def sha256_of(value: object) -> str:
    """Digest a JSON value, as 64 hexadecimal digits, from its one canonical text.

    Raises:
        TypeError, ValueError: It is no JSON value, or a number in it is not finite.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def findings_part(defense: str) -> str:
    """Name the part that holds what diagnostics found out about a defense."""
    return f"{_FINDINGS}{defense}"


def shard_details_sha256(shard: Mapping[str, Any] | RowMapping) -> str:
    """Digest what a shard says beside its outcomes.

    Args:
        shard: The columns ``sha256``, ``seconds``, ``queries``, ``environment`` and ``created``.
    """
    # SQLite does not keep the sign of a negative zero; adding zero drops it.
    return sha256_of([shard[name] + 0.0 if name == "seconds" else shard[name] for name in _SHARD_COLUMNS])


def sealed(connection: Connection, run_id: str) -> dict[str, str]:
    """Return the digests that are stored with a run, by part."""
    query = select(SEALS.c.part, SEALS.c.sha256).where(SEALS.c.run_id == run_id)
    return {part: sha256 for part, sha256 in connection.execute(query)}  # noqa: C416 (rows are no pairs to mypy)


def compute(connection: Connection, run_id: str) -> dict[str, str]:
    """Compute the digests of all parts of a run from what it holds now.

    Raises:
        TypeError: A column holds what JSON cannot say, which only a damaged file does.
    """
    parts = {name: _SIMPLE[name](connection, run_id) for name in _SIMPLE}
    found = set(connection.execute(select(FINDINGS.c.defense).where(FINDINGS.c.run_id == run_id)).scalars())
    missing = {part.removeprefix(_FINDINGS) for part in sealed(connection, run_id) if part.startswith(_FINDINGS)}
    for defense in found | missing:
        parts[findings_part(defense)] = _findings(connection, run_id, defense)
    cards = connection.execute(select(CARDS).where(CARDS.c.run_id == run_id).order_by(CARDS.c.number)).mappings()
    chain = ""
    for card in cards:
        chain = _continued(chain, card)
    return {**parts, CARDS_PART: chain} if chain else parts


def seal(connection: Connection, run_id: str, *parts: str) -> None:
    """Store the digests of some parts that have just been written: of ``status``, ``cells``, or a request.

    A request that has been sealed keeps its digest: nothing ever changes it.
    """
    known = sealed(connection, run_id)
    for part in parts:
        if part != REQUEST or part not in known:
            _store(connection, run_id, part, _SIMPLE[part](connection, run_id))


def seal_findings(connection: Connection, run_id: str, defense: str) -> None:
    """Store the digest of what has just been found out about a defense."""
    _store(connection, run_id, findings_part(defense), _findings(connection, run_id, defense))


def seal_card(connection: Connection, run_id: str, number: int) -> None:
    """Continue the chain with a card that has just been added."""
    card = connection.execute(select(CARDS).where(CARDS.c.number == number)).mappings().one()
    _store(connection, run_id, CARDS_PART, _continued(sealed(connection, run_id).get(CARDS_PART, ""), card))


def lock(connection: Connection, run_id: str) -> bool:
    """Keep other writers off a run until the transaction ends, as SQLite does anyway; False without such a run."""
    query = select(RUNS.c.number).where(RUNS.c.id == run_id).with_for_update()
    return connection.execute(query).scalar_one_or_none() is not None


def seal_unsealed(connection: Connection) -> None:
    """Seal what an older robench wrote, as it is now."""
    wanting = select(RUNS.c.id).where(RUNS.c.id.not_in(select(SEALS.c.run_id)))
    for run_id in connection.execute(wanting).scalars().all():
        for part, sha256 in compute(connection, run_id).items():
            _store(connection, run_id, part, sha256)
    for row in connection.execute(select(SHARDS).where(SHARDS.c.details_sha256 == "")).mappings().all():
        digest = shard_details_sha256(row)
        connection.execute(update(SHARDS).where(SHARDS.c.id == row["id"]).values(details_sha256=digest))


def _store(connection: Connection, run_id: str, part: str, sha256: str) -> None:
    connection.execute(delete(SEALS).where(SEALS.c.run_id == run_id, SEALS.c.part == part))
    connection.execute(insert(SEALS).values(run_id=run_id, part=part, sha256=sha256))


def _request(connection: Connection, run_id: str) -> str:
    columns = [RUNS.c[name] for name in (*_REQUEST_COLUMNS, "details")]
    return _digest_rows(connection.execute(select(*columns).where(RUNS.c.id == run_id)).all())


def _status(connection: Connection, run_id: str) -> str:
    return _digest_rows(connection.execute(select(RUNS.c.id, RUNS.c.status).where(RUNS.c.id == run_id)).all())


def _cells(connection: Connection, run_id: str) -> str:
    query = (
        select(RUN_CELLS.c.run_id, RUN_CELLS.c.position, CELLS.c.key, RUN_CELLS.c.role, RUN_CELLS.c.failure)
        .join(CELLS, CELLS.c.id == RUN_CELLS.c.cell_id)
        .where(RUN_CELLS.c.run_id == run_id)
        .order_by(RUN_CELLS.c.position)
    )
    return _digest_rows(connection.execute(query).all())


def _findings(connection: Connection, run_id: str, defense: str) -> str:
    query = select(FINDINGS).where(FINDINGS.c.run_id == run_id, FINDINGS.c.defense == defense)
    return _digest_rows(connection.execute(query.order_by(FINDINGS.c.position)).all())


def _continued(chain: str, card: RowMapping) -> str:
    return sha256_of([chain, *(card[name] for name in ("run_id", "defense", "created", "verdict", "document"))])


def _digest_rows(rows: Sequence[Any]) -> str:
    return sha256_of([list(row) for row in rows])


_SIMPLE = {REQUEST: _request, STATUS: _status, CELLS_PART: _cells}
