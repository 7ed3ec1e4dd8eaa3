"""The norm of the balls.

A released migration is never edited: databases exist that it made.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# As in 0002, with the norm.
RESULTS = """
CREATE VIEW results AS
SELECT counted.run_id AS run, c.dataset AS dataset, c.classifier AS classifier, c.defense AS defense,
  c.attack AS attack, c.knowledge AS knowledge, c.norm AS norm, c.epsilon AS epsilon, counted.n AS n,
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

WORST_CASE = """
CREATE VIEW worst_case AS
SELECT run, dataset, classifier, defense, attack, norm, epsilon AS worst_case_epsilon, accuracy, rejected
FROM (
  SELECT run, dataset, classifier, defense, attack, norm, epsilon, accuracy, rejected,
    ROW_NUMBER() OVER (
      PARTITION BY run, dataset, classifier, defense, attack, norm
      ORDER BY accuracy, CAST(epsilon AS DOUBLE PRECISION), knowledge
    ) AS place
  FROM results
  WHERE attack NOT IN ('clean', 'rejection')
) AS ranked
WHERE place = 1
"""


def upgrade() -> None:
    """Keep every row: all balls were Linf ones, and clean images are in none."""
    op.execute("DROP VIEW worst_case")
    op.execute("DROP VIEW results")
    op.add_column("cells", sa.Column("norm", sa.Text(), server_default="linf", nullable=False))
    op.execute("UPDATE cells SET norm = 'none' WHERE attack = 'clean'")
    op.execute(RESULTS)
    op.execute(WORST_CASE)
