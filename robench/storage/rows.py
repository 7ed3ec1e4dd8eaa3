"""Between records and rows, and what may become a row at all."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from robench.api.records import CLEAN, Outcome
from robench.errors import StoreError
from robench.storage.seals import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Column, Table

    from robench.api.records import Cell, Finding, ImageOutcome, Run, Shard


def columns(table: Table, record: type[Run | Cell | ImageOutcome | Finding]) -> list[Column[Any]]:
    """Pick the columns that bear the names of a record's fields, in their order."""
    return [table.c[field.name] for field in fields(record)]


def values(record: Run | Cell | ImageOutcome | Finding) -> dict[str, Any]:
    """Spread a record for an insert; shallow, where ``dataclasses.asdict`` would copy."""
    return dict(vars(record))


def outcome_values(outcome: ImageOutcome, cell_id: int, shard_id: int) -> dict[str, Any]:
    """Spread an outcome for an insert."""
    return {**values(outcome), "outcome": outcome.outcome.value, "cell_id": cell_id, "shard_id": shard_id}


def has_own_key(cell: Cell) -> bool:
    """Whether the key of a cell is the SHA-256 over its other fields, as that of every planned cell is.

    Cells of an older schema were planned without the fields that came later, and got the values that say so.
    """
    fields = {name: value for name, value in vars(cell).items() if name != "key"}
    # SQLite does not keep the sign of a negative zero, with which a threshold may have been planned.
    thresholds = (0.0, -0.0) if fields["threshold"] == 0 else (fields["threshold"],)
    for later in ({}, *_later_fields(cell)):
        if any(fields.get(name) != value for name, value in later.items()):
            return False
        fields = {name: value for name, value in fields.items() if name not in later}
        if any(sha256_of({**fields, "threshold": threshold}) == cell.key for threshold in thresholds):
            return True
    return False


def _later_fields(cell: Cell) -> list[dict[str, object]]:
    """Return the fields that cells did not always have, the newest first, with the values that older cells got."""
    return [
        {"norm": "none" if cell.attack == CLEAN else "linf"},
        {"subject": "", "stochastic": False, "ensemble": "", "member": False},
    ]


def shard_sha256(cell_key: str, outcomes: Iterable[ImageOutcome]) -> str:
    """Digest outcomes so that any change of one, or a move to another cell, shows.

    Args:
        cell_key: Key of their cell.
        outcomes: In any order.

    Returns:
        SHA-256, as hexadecimal text, of the canonical JSON text
        ``[cell_key, [[position, image, label, prediction, outcome, score], ...]]`` in order of position. An outcome
        whose draws do not follow from it, as those of a single one do, has ``draws, draws_wrong, draws_rejected`` too,
        and one that was watched ends with ``search_won``, 0 or 1.
    """
    text = json.dumps([cell_key, sorted(map(_digested, outcomes))], separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _digested(o: ImageOutcome) -> list[object]:
    # SQLite does not keep the sign of a negative zero; adding zero drops it.
    score = None if o.score is None else o.score + 0.0
    row: list[object] = [o.position, o.image, o.label, o.prediction, o.outcome.value, score]
    draws = [o.draws, o.draws_wrong, o.draws_rejected]
    # Shards of schema 0001, which knew no draws, keep their digests.
    single = [1, int(o.outcome is Outcome.WRONG), int(o.outcome is Outcome.REJECTED)]
    # Nor did those before schema 0006 say what the search saw.
    watched = [] if o.search_won is None else [o.search_won + 0]
    return [*row, *([] if draws == single else draws), *watched]


def refuse_unstorable_cell(cell: Cell) -> None:
    """Refuse what databases do not store alike.

    Raises:
        StoreError: The threshold is not finite.
    """
    if cell.threshold is not None and not math.isfinite(cell.threshold):
        message = f"cell {cell.key[:12]} ({cell.defense}): threshold {cell.threshold} is not a finite number"
        raise StoreError(message, "calibrate the defense again")


def refuse_unstorable_shard(cell_key: str, shard: Shard) -> None:
    """Refuse what databases do not store alike: SQLite turns NaN into NULL, which means "never rejects".

    Raises:
        StoreError: A score or the time is not finite, a position occurs twice, or an outcome is not that of its draws.
    """
    seen: set[int] = set()
    for outcome in shard.outcomes:
        where = f"cell {cell_key[:12]}, position {outcome.position}"
        if outcome.score is not None and not math.isfinite(outcome.score):
            message = f"{where}: score {outcome.score} is not a finite number"
            raise StoreError(message, "the defense must answer with finite scores")
        if outcome.outcome is not Outcome.of_draws(outcome.draws, outcome.draws_wrong, outcome.draws_rejected):
            counted = f"{outcome.draws_wrong} wrong and {outcome.draws_rejected} rejected of {outcome.draws} draws"
            message = f"{where}: {outcome.outcome.value} is not what {counted} come to"
            raise StoreError(message)
        if outcome.position in seen:
            message = f"{where} occurs twice in one shard"
            raise StoreError(message)
        seen.add(outcome.position)
    if not math.isfinite(shard.seconds):
        message = f"cell {cell_key[:12]}: {shard.seconds} seconds is not a finite time"
        raise StoreError(message)
