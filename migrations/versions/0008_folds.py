"""What was folded, so that a rebuild need not fold it again.

Revision: 0008, after 0007.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table, and to each run how many events it folded; of earlier runs nobody knows."""
    op.create_table(
        "folds",
        sa.Column("projection", Name, primary_key=True),
        sa.Column("until", Name, primary_key=True),
        sa.Column("code", Name, nullable=False),
        sa.Column("entries", Name, nullable=False),
        sa.Column("rows", Name, nullable=False),
        sa.Column("sums", sa.Text, nullable=False),
    )
    op.add_column("runs", sa.Column("folded", sa.BigInteger))


def downgrade() -> None:
    """Forget what was folded; a rebuild of an earlier version folds everything anyway."""
    op.drop_column("runs", "folded")
    op.drop_table("folds")
