"""What became of every slot of every schedule.

Revision: 0004, after 0003.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table; its unique slot is what keeps a slot from being run twice."""
    op.create_table(
        "scheduled_runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("name", Name, nullable=False),
        sa.Column("slot", Name, nullable=False),
        sa.Column("how", Name, nullable=False),
        sa.Column("slots", sa.BigInteger, nullable=False),
        sa.Column("started_at", Name),
        sa.Column("ended_at", Name),
        sa.Column("outcome", Name, nullable=False),
        sa.Column("exit_code", sa.Integer),
        sa.Column("detail", sa.Text),
        sa.UniqueConstraint("name", "slot", name="scheduled_runs_slot"),
    )


def downgrade() -> None:
    """Forget what the schedules did."""
    op.drop_table("scheduled_runs")
