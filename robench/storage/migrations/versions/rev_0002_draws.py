"""Draws of stochastic defenses, ensembles with their members, findings and cards.

A released migration is never edited: databases exist that it made.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# As in 0001, but an image counts by the share of its draws, and what members of ensembles did is no result.
RESULTS = """
CREATE VIEW results AS
SELECT counted.run_id AS run, c.dataset AS dataset, c.classifier AS classifier, c.defense AS defense,
  c.attack AS attack, c.knowledge AS knowledge, c.epsilon AS epsilon, counted.n AS n,
  (counted.n - counted.fooled - CASE WHEN c.attack = 'clean' THEN counted.rejected_share ELSE 0 END) / counted.n
    AS accuracy,
  counted.wrong AS wrong, counted.rejected AS rejected
FROM (
  SELECT rc.run_id, rc.cell_id, COUNT(*) AS n,
    COUNT(*) FILTER (WHERE o.outcome = 'wrong') AS wrong,
    COUNT(*) FILTER (WHERE o.outcome = 'rejected') AS rejected,
    SUM(CAST(o.draws_wrong AS DOUBLE PRECISION) / o.draws) AS fooled,
    SUM(CAST(o.draws_rejected AS DOUBLE PRECISION) / o.draws) AS rejected_share
  FROM run_cells rc
  JOIN runs r ON r.id = rc.run_id
  JOIN outcomes o ON o.cell_id = rc.cell_id AND o.position < r.images
  WHERE rc.role = 'cell'
  GROUP BY rc.run_id, rc.cell_id
) AS counted
JOIN cells c ON c.id = counted.cell_id
"""

# Who wants an image rejected does not try to fool: that is no worst case.
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
  WHERE attack NOT IN ('clean', 'rejection')
) AS ranked
WHERE place = 1
"""

OLD_OUTCOMES = """
INSERT INTO outcomes (cell_id, position, image, label, prediction, outcome, score, draws, draws_wrong, draws_rejected,
  shard_id)
SELECT cell_id, position, image, label, prediction, outcome, score, 1, CASE WHEN outcome = 'wrong' THEN 1 ELSE 0 END,
  CASE WHEN outcome = 'rejected' THEN 1 ELSE 0 END, shard_id
FROM outcomes_0001
ORDER BY cell_id, position
"""


def upgrade() -> None:
    """Keep every row, and give it what is known of the new columns."""
    op.execute("DROP VIEW worst_case")
    op.execute("DROP VIEW results")
    _widen_tables()
    _replace_outcomes()
    _create_tables()
    op.execute(RESULTS)
    op.execute(WORST_CASE)


def _widen_tables() -> None:
    for column in (
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("stochastic", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("ensemble", sa.Text(), server_default="", nullable=False),
        sa.Column("member", sa.Boolean(), server_default=sa.false(), nullable=False),
    ):
        op.add_column("cells", column)
    op.add_column("shards", sa.Column("queries", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    # Plain SQL: SQLite takes a constraint together with its column only, and Alembic does not write it so.
    op.execute(
        "ALTER TABLE run_cells ADD COLUMN role VARCHAR(8) DEFAULT 'cell' NOT NULL "
        "CONSTRAINT ck_run_cells_role CHECK (role IN ('cell', 'member'))"
    )
    op.create_index("ix_shards_cell_id", "shards", ["cell_id"])


def _replace_outcomes() -> None:
    """Write the table anew: added columns would need defaults, with which an older robench would go on writing."""
    op.rename_table("outcomes", "outcomes_0001")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("pk_outcomes", "outcomes_0001")  # there, its name belongs to the whole schema
    op.create_table(
        "outcomes",
        sa.Column("cell_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("image", sa.Integer(), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.Column("prediction", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(8), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("draws", sa.Integer(), nullable=False),
        sa.Column("draws_wrong", sa.Integer(), nullable=False),
        sa.Column("draws_rejected", sa.Integer(), nullable=False),
        sa.Column("shard_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("position >= 0", name="ck_outcomes_position"),
        sa.CheckConstraint("outcome IN ('correct', 'wrong', 'rejected')", name="ck_outcomes_outcome"),
        sa.CheckConstraint(
            "draws >= 1 AND draws_wrong >= 0 AND draws_rejected >= 0 AND draws_wrong + draws_rejected <= draws",
            name="ck_outcomes_draws",
        ),
        sa.PrimaryKeyConstraint("cell_id", "position", name="pk_outcomes"),
        sa.ForeignKeyConstraint(["cell_id"], ["cells.id"], name="fk_outcomes_cell_id"),
        sa.ForeignKeyConstraint(["shard_id"], ["shards.id"], name="fk_outcomes_shard_id"),
        sqlite_with_rowid=False,
    )
    op.execute(OLD_OUTCOMES)
    op.drop_table("outcomes_0001")


def _create_tables() -> None:
    op.create_table(
        "findings",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("defense", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.String(4), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("meaning", sa.Text(), nullable=False),
        sa.Column("mend", sa.Text(), nullable=False),
        sa.CheckConstraint("status IN ('PASS', 'WARN', 'FAIL')", name="ck_findings_status"),
        sa.PrimaryKeyConstraint("run_id", "defense", "position", name="pk_findings"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_findings_run_id"),
    )
    op.create_table(
        "cards",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("defense", sa.Text(), nullable=False),
        sa.Column("created", sa.String(40), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_cards"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_cards_run_id"),
    )
