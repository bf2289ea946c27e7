"""Runs of the projections, and where one is stalled.

Revision: 0003, after 0002.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table, and the columns of a stall."""
    op.add_column("checkpoints", sa.Column("stalled_at", sa.BigInteger))
    op.add_column("checkpoints", sa.Column("stall_cause", sa.Text))
    op.create_table(
        "runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("projection", Name, nullable=False),
        sa.Column("how", Name, nullable=False),
        sa.Column("started_at", Name, nullable=False),
        sa.Column("ended_at", Name, nullable=False),
        sa.Column("outcome", Name, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("drift", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text),
    )
    op.create_index("runs_projection", "runs", ["projection", "id"])


def downgrade() -> None:
    """Forget the runs; the answers can be rebuilt."""
    op.drop_index("runs_projection", "runs")
    op.drop_table("runs")
    op.drop_column("checkpoints", "stall_cause")
    op.drop_column("checkpoints", "stalled_at")
