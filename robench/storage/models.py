"""Tables of the result store, portable between SQLite and PostgreSQL.

They describe the newest schema for queries; what creates it is ``migrations``, and a test holds the two equal. They are
plain tables rather than mapped classes, which nothing here would use and whose import is a good part of every command.
"""

from __future__ import annotations

from functools import partial

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

# Migrations can only alter a constraint that has a name.
_NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
METADATA = MetaData(naming_convention=_NAMES)

_required = partial(Column, nullable=False)

# A request. ``number`` orders runs that were created at the same instant.
RUNS = Table(
    "runs",
    METADATA,
    Column("number", Integer, primary_key=True),
    _required("id", String(64), unique=True),
    _required("command", Text),
    _required("created", String(40)),
    _required("status", String(16)),
    _required("dataset", Text),
    _required("classifier", Text),
    _required("profile", Text),
    _required("images", Integer),
    _required("seed", BigInteger),
    _required("details", Text),
    CheckConstraint("status IN ('running', 'interrupted', 'complete', 'failed')", name="status"),
)

# What determines an outcome, once, however many runs ask for it. Epsilon is exact decimal text, never a float.
CELLS = Table(
    "cells",
    METADATA,
    Column("id", Integer, primary_key=True),
    _required("key", String(64), unique=True),
    _required("dataset", Text),
    _required("data_digest", Text),
    _required("classifier", Text),
    _required("classifier_digest", Text),
    _required("defense", Text),
    _required("defense_digest", Text),
    Column("threshold", Double),
    _required("attack", Text),
    _required("knowledge", Text),
    _required("epsilon", Text),
    _required("seed", BigInteger),
    _required("device", Text),
    _required("settings", Text),
)

# Which cells a run asks for, in its order; ``failure`` is empty unless the cell failed in this run.
RUN_CELLS = Table(
    "run_cells",
    METADATA,
    Column("run_id", ForeignKey(RUNS.c.id), primary_key=True),
    Column("cell_id", ForeignKey(CELLS.c.id), primary_key=True),
    _required("position", Integer),
    _required("failure", Text),
    UniqueConstraint("run_id", "position"),
)

# Outcomes of a cell that were committed together, with the digest that proves them unaltered.
SHARDS = Table(
    "shards",
    METADATA,
    Column("id", Integer, primary_key=True),
    _required("cell_id", ForeignKey(CELLS.c.id)),
    _required("sha256", String(64)),
    _required("seconds", Double),
    _required("environment", Text),
    _required("created", String(40)),
)

# One image of one cell: the only place that says how it ended, every figure is counted from here. Without rowid the
# table *is* its primary key: the outcomes of a cell lie side by side in order of position, which makes counting one
# range scan and needs no second index.
OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("cell_id", ForeignKey(CELLS.c.id), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    _required("image", Integer),
    _required("label", Integer),
    _required("prediction", Integer),
    _required("outcome", String(8)),
    Column("score", Double),
    _required("shard_id", ForeignKey(SHARDS.c.id)),
    CheckConstraint("position >= 0", name="position"),
    CheckConstraint("outcome IN ('correct', 'wrong', 'rejected')", name="outcome"),
    sqlite_with_rowid=False,
)
