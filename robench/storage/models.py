"""Tables of the result store, portable between SQLite and PostgreSQL.

They describe the newest schema for queries; what creates it is ``migrations``, and a test holds the two equal.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Double, ForeignKey, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Migrations can only alter a constraint that has a name.
_NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


class Base(DeclarativeBase):
    """Where the tables are gathered."""

    metadata = MetaData(naming_convention=_NAMES)


class RunRow(Base):
    """A request. ``number`` orders runs that were created at the same instant."""

    __tablename__ = "runs"
    __table_args__ = (CheckConstraint("status IN ('running', 'interrupted', 'complete', 'failed')", name="status"),)

    number: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    command: Mapped[str] = mapped_column(Text)
    created: Mapped[str] = mapped_column(String(40))
    status: Mapped[str] = mapped_column(String(16))
    dataset: Mapped[str] = mapped_column(Text)
    classifier: Mapped[str] = mapped_column(Text)
    profile: Mapped[str] = mapped_column(Text)
    images: Mapped[int]
    seed: Mapped[int] = mapped_column(BigInteger)
    details: Mapped[str] = mapped_column(Text)


class CellRow(Base):
    """What determines an outcome, once, however many runs ask for it. Epsilon is exact decimal text, never a float."""

    __tablename__ = "cells"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    dataset: Mapped[str] = mapped_column(Text)
    data_digest: Mapped[str] = mapped_column(Text)
    classifier: Mapped[str] = mapped_column(Text)
    classifier_digest: Mapped[str] = mapped_column(Text)
    defense: Mapped[str] = mapped_column(Text)
    defense_digest: Mapped[str] = mapped_column(Text)
    threshold: Mapped[float | None] = mapped_column(Double)
    attack: Mapped[str] = mapped_column(Text)
    knowledge: Mapped[str] = mapped_column(Text)
    epsilon: Mapped[str] = mapped_column(Text)
    seed: Mapped[int] = mapped_column(BigInteger)
    device: Mapped[str] = mapped_column(Text)
    settings: Mapped[str] = mapped_column(Text)


class RunCellRow(Base):
    """Which cells a run asks for, in its order; ``failure`` is empty unless the cell failed in this run."""

    __tablename__ = "run_cells"
    __table_args__ = (UniqueConstraint("run_id", "position"),)

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    cell_id: Mapped[int] = mapped_column(ForeignKey("cells.id"), primary_key=True)
    position: Mapped[int]
    failure: Mapped[str] = mapped_column(Text)


class ShardRow(Base):
    """Outcomes that were committed together, with the digest that proves them unaltered."""

    __tablename__ = "shards"

    id: Mapped[int] = mapped_column(primary_key=True)
    cell_id: Mapped[int] = mapped_column(ForeignKey("cells.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    seconds: Mapped[float] = mapped_column(Double)
    environment: Mapped[str] = mapped_column(Text)
    created: Mapped[str] = mapped_column(String(40))


class OutcomeRow(Base):
    """One image of one cell: the only place that says how it ended, every figure is counted from here.

    Without rowid the table *is* its primary key: the outcomes of a cell lie side by side in order of position, which
    makes counting one range scan and needs no second index.
    """

    __tablename__ = "outcomes"
    __table_args__ = (
        CheckConstraint("position >= 0", name="position"),
        CheckConstraint("outcome IN ('correct', 'wrong', 'rejected')", name="outcome"),
        {"sqlite_with_rowid": False},
    )

    cell_id: Mapped[int] = mapped_column(ForeignKey("cells.id"), primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    image: Mapped[int]
    label: Mapped[int]
    prediction: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(8))
    score: Mapped[float | None] = mapped_column(Double)
    shard_id: Mapped[int] = mapped_column(ForeignKey("shards.id"))
