"""Runs, cells, shards, outcomes, and the views that count them.

A released migration is never edited: databases exist that it made.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Only positions below the images of the run count: another run over more images may share the cell. A rejected image
# under attack was not fooled; a rejected clean image is an error. The inner query counts in the order of the primary
# keys; joined with cells first, SQLite would sort every outcome.
RESULTS = """
CREATE VIEW results AS
SELECT counted.run_id AS run, c.dataset AS dataset, c.classifier AS classifier, c.defense AS defense,
  c.attack AS attack, c.knowledge AS knowledge, c.epsilon AS epsilon, counted.n AS n,
  CAST(counted.correct + CASE WHEN c.attack = 'clean' THEN 0 ELSE counted.rejected END AS DOUBLE PRECISION) / counted.n
    AS accuracy,
  counted.wrong AS wrong, counted.rejected AS rejected
FROM (
  SELECT rc.run_id, rc.cell_id, COUNT(*) AS n,
    COUNT(*) FILTER (WHERE o.outcome = 'correct') AS correct,
    COUNT(*) FILTER (WHERE o.outcome = 'wrong') AS wrong,
    COUNT(*) FILTER (WHERE o.outcome = 'rejected') AS rejected
  FROM run_cells rc
  JOIN runs r ON r.id = rc.run_id
  JOIN outcomes o ON o.cell_id = rc.cell_id AND o.position < r.images
  GROUP BY rc.run_id, rc.cell_id
) AS counted
JOIN cells c ON c.id = counted.cell_id
"""

WORST_CASE = """
CREATE VIEW worst_case AS
SELECT run, dataset, classifier, defense, attack, epsilon AS worst_case_epsilon, accuracy, rejected
FROM (
  SELECT run, dataset, classifier, defense, attack, epsilon, accuracy, rejected,
    ROW_NUMBER() OVER (
      PARTITION BY run, dataset, classifier, defense, attack
      ORDER BY accuracy, CAST(epsilon AS DOUBLE PRECISION), knowledge
    ) AS place
  FROM results
  WHERE attack <> 'clean'
) AS ranked
WHERE place = 1
"""


def upgrade() -> None:
    """Create the schema in an empty database."""
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("created", sa.String(40), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("classifier", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.CheckConstraint("status IN ('running', 'interrupted', 'complete', 'failed')", name="ck_runs_status"),
        sa.PrimaryKeyConstraint("number", name="pk_runs"),
        sa.UniqueConstraint("id", name="uq_runs_id"),
    )
    op.create_table(
        "cells",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("data_digest", sa.Text(), nullable=False),
        sa.Column("classifier", sa.Text(), nullable=False),
        sa.Column("classifier_digest", sa.Text(), nullable=False),
        sa.Column("defense", sa.Text(), nullable=False),
        sa.Column("defense_digest", sa.Text(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=True),
        sa.Column("attack", sa.Text(), nullable=False),
        sa.Column("knowledge", sa.Text(), nullable=False),
        sa.Column("epsilon", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cells"),
        sa.UniqueConstraint("key", name="uq_cells_key"),
    )
    op.create_table(
        "run_cells",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("cell_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "cell_id", name="pk_run_cells"),
        sa.UniqueConstraint("run_id", "position", name="uq_run_cells_run_id_position"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_cells_run_id"),
        sa.ForeignKeyConstraint(["cell_id"], ["cells.id"], name="fk_run_cells_cell_id"),
    )
    op.create_table(
        "shards",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("cell_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("created", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shards"),
        sa.ForeignKeyConstraint(["cell_id"], ["cells.id"], name="fk_shards_cell_id"),
    )
    op.create_table(
        "outcomes",
        sa.Column("cell_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("image", sa.Integer(), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.Column("prediction", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(8), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("shard_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("position >= 0", name="ck_outcomes_position"),
        sa.CheckConstraint("outcome IN ('correct', 'wrong', 'rejected')", name="ck_outcomes_outcome"),
        sa.PrimaryKeyConstraint("cell_id", "position", name="pk_outcomes"),
        sa.ForeignKeyConstraint(["cell_id"], ["cells.id"], name="fk_outcomes_cell_id"),
        sa.ForeignKeyConstraint(["shard_id"], ["shards.id"], name="fk_outcomes_shard_id"),
        sqlite_with_rowid=False,
    )
    op.execute(RESULTS)
    op.execute(WORST_CASE)
