"""${message}

Revision: ${up_revision}, after ${down_revision | comma,n}.
"""

# Rules for a revision:
# 1. It imports nothing from `ledger`: it must do the same thing in ten years as today.
# 2. It never changes, deletes or rewrites a row of `events`: the entry is the truth, older shapes are
#    upcast on read. No backfill of a column of `events` that is not derived from the entry.
# 3. It never drops or disables a trigger of `events`, `disclosures` or `tree_head`, not even for a
#    moment. On SQLite a batch operation copies the table and loses its triggers: not on these three.
# 4. A new durable table says who may do what: on PostgreSQL new tables of the owner are readable by
#    `ledger_recorder`, `ledger_analyst` and `ledger_auditor`; REVOKE where it holds personal data.
# 5. Its number is the next one, four digits; `HEAD` in `ledger/store/migrate.py` follows it.
# 6. It runs on SQLite and on PostgreSQL, inside one transaction that its caller began.

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision: str = ${repr(up_revision)}
down_revision: str | None = ${repr(down_revision)}
branch_labels: Sequence[str] | None = ${repr(branch_labels)}
depends_on: Sequence[str] | None = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
