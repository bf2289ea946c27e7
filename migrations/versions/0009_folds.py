"""What was folded takes less room: it is kept of smaller pieces, in one digest each.

Revision: 0009, after 0008.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table anew, empty: other code folds everything once in any case."""
    op.drop_table("folds")
    op.create_table(
        "folds",
        sa.Column("until", Name, primary_key=True),
        sa.Column("projection", Name, primary_key=True),
        sa.Column("digest", Name, nullable=False),
        sa.Column("sums", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Make it as it was, empty."""
    op.drop_table("folds")
    op.create_table(
        "folds",
        sa.Column("projection", Name, primary_key=True),
        sa.Column("until", Name, primary_key=True),
        sa.Column("code", Name, nullable=False),
        sa.Column("entries", Name, nullable=False),
        sa.Column("rows", Name, nullable=False),
        sa.Column("sums", sa.Text, nullable=False),
    )
