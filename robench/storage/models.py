"""Tables of the result store, portable between SQLite and PostgreSQL.

They describe the newest schema for queries; what creates it is ``migrations``, and a test holds the two equal. They are
plain tables rather than mapped classes, which nothing here would use and whose import is a good part of every command.
"""

from __future__ import annotations

from functools import partial

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
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

# What determines an outcome, once, however many runs ask for it. Epsilon is exact decimal text, never a float. A server
# default, here and below, is what rows of an older schema got.
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
    _required("subject", Text, server_default=""),
    _required("stochastic", Boolean, server_default=false()),
    _required("ensemble", Text, server_default=""),
    _required("member", Boolean, server_default=false()),
    _required("norm", Text, server_default="linf"),
)

# Which cells a run asks for, in its order, then those of members of its ensembles, which are not among its results.
# ``failure`` is empty unless the cell failed in this run.
RUN_CELLS = Table(
    "run_cells",
    METADATA,
    Column("run_id", ForeignKey(RUNS.c.id), primary_key=True),
    Column("cell_id", ForeignKey(CELLS.c.id), primary_key=True),
    _required("position", Integer),
    _required("failure", Text),
    _required("role", String(8), server_default="cell"),
    UniqueConstraint("run_id", "position"),
    CheckConstraint("role IN ('cell', 'member')", name="role"),
)

# Outcomes of a cell that were committed together, with the digest that proves them unaltered; ``details_sha256`` is
# that of the other columns.
SHARDS = Table(
    "shards",
    METADATA,
    Column("id", Integer, primary_key=True),
    _required("cell_id", ForeignKey(CELLS.c.id)),
    _required("sha256", String(64)),
    _required("seconds", Double),
    _required("queries", BigInteger, server_default=text("0")),
    _required("environment", Text),
    _required("created", String(40)),
    _required("details_sha256", String(64), server_default=""),
    Index("ix_shards_cell_id", "cell_id"),
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
    _required("draws", Integer),
    _required("draws_wrong", Integer),
    _required("draws_rejected", Integer),
    _required("shard_id", ForeignKey(SHARDS.c.id)),
    Column("search_won", Boolean),
    CheckConstraint("position >= 0", name="position"),
    CheckConstraint("outcome IN ('correct', 'wrong', 'rejected')", name="outcome"),
    CheckConstraint(
        "draws >= 1 AND draws_wrong >= 0 AND draws_rejected >= 0 AND draws_wrong + draws_rejected <= draws",
        name="draws",
    ),
    sqlite_with_rowid=False,
)

# What the diagnostics found out about a defense in a run, in their order.
FINDINGS = Table(
    "findings",
    METADATA,
    Column("run_id", ForeignKey(RUNS.c.id), primary_key=True),
    Column("defense", Text, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    _required("name", Text),
    _required("status", String(4)),
    _required("number", Text),
    _required("meaning", Text),
    _required("mend", Text),
    CheckConstraint("status IN ('PASS', 'WARN', 'FAIL')", name="status"),
)

# Evaluation cards, every version that was made; ``number`` orders those of the same instant.
CARDS = Table(
    "cards",
    METADATA,
    Column("number", Integer, primary_key=True),
    _required("run_id", ForeignKey(RUNS.c.id)),
    _required("defense", Text),
    _required("created", String(40)),
    _required("verdict", Text),
    _required("document", Text),
)

# Which process fills a run. Whoever takes it over writes a token of its own; the former owner's writes then fail.
CLAIMS = Table(
    "claims",
    METADATA,
    Column("run_id", ForeignKey(RUNS.c.id), primary_key=True),
    _required("token", String(32)),
    _required("process", Text),
)

# SHA-256 of everything else that a run says, part by part; see ``robench.storage.seals``.
SEALS = Table(
    "seals",
    METADATA,
    Column("run_id", ForeignKey(RUNS.c.id), primary_key=True),
    Column("part", Text, primary_key=True),
    _required("sha256", String(64)),
)
