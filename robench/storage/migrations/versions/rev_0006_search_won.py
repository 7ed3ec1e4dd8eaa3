"""What the search saw of an outcome, for the diagnostic of silent successes.

A released migration is never edited: databases exist that it made.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room; of outcomes that are there nobody knows."""
    op.add_column("outcomes", sa.Column("search_won", sa.Boolean(), nullable=True))
