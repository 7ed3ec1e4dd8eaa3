"""Digests of all that figures depend on beside outcomes: a shard's cost, a run's request, findings and cards.

A released migration is never edited: databases exist that it made.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for the digests; `robench.storage.seals` then takes those of what is there."""
    op.add_column("shards", sa.Column("details_sha256", sa.String(64), server_default="", nullable=False))
    op.create_table(
        "seals",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "part", name="pk_seals"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_seals_run_id"),
    )
