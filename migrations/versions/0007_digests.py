"""The digest of what a rebuild folded.

Revision: 0007, after 0006.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the column; earlier runs have none."""
    op.add_column("runs", sa.Column("digest", Name))


def downgrade() -> None:
    """Forget the digests; the next rebuild has one again."""
    op.drop_column("runs", "digest")
