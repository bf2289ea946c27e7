"""Who may do what on PostgreSQL: recorder, analyst and auditor; the owner is whoever migrates.

Revision: 0002, after 0001.

Roles belong to the whole cluster, so one that is there is taken as it is. None of them can log in:
a DBA makes a login role and says GRANT ledger_analyst TO it. Answer tables that the owner makes
later are readable by all three. Only the owner may delete a disclosure. SQLite knows no roles.
"""

import logging
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

RECORDER, ANALYST, AUDITOR = "ledger_recorder", "ledger_analyst", "ledger_auditor"
ROLES = (RECORDER, ANALYST, AUDITOR)

# (role, what it may do, on which table); `ledger_revision` tells a reader that a ledger is here.
GRANTS = (
    (RECORDER, "SELECT, INSERT", "events"),
    (RECORDER, "SELECT, INSERT", "disclosures"),
    (RECORDER, "SELECT, UPDATE", "tree_head"),
    (RECORDER, "SELECT", "checkpoints"),
    (RECORDER, "SELECT", "ledger_revision"),
    (ANALYST, "SELECT", "events"),
    (ANALYST, "SELECT", "tree_head"),
    (ANALYST, "SELECT", "checkpoints"),
    (ANALYST, "SELECT", "ledger_revision"),
    (AUDITOR, "SELECT", "events"),
    (AUDITOR, "SELECT", "disclosures"),
    (AUDITOR, "SELECT", "tree_head"),
    (AUDITOR, "SELECT", "checkpoints"),
    (AUDITOR, "SELECT", "ledger_revision"),
)

# Another database of the cluster may be migrated at this moment: its role is as good as ours.
CREATE_ROLE = """
DO $$
BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$
"""

log = logging.getLogger("alembic.ledger")


def upgrade() -> None:
    """Create the roles that are missing, and grant."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    create_missing_roles(connection)
    schema = schema_of(connection)
    present = existing_roles(connection)
    for role in sorted(present):
        op.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        op.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}")
    for role, what, table in GRANTS:
        if role in present:
            op.execute(f"GRANT {what} ON {schema}.{table} TO {role}")


def downgrade() -> None:
    """Take the grants back; the roles stay, another database may use them."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    schema = schema_of(connection)
    for role in sorted(existing_roles(connection)):
        op.execute(
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} REVOKE SELECT ON TABLES FROM {role}"
        )
        for table in sorted({table for _, _, table in GRANTS}):
            op.execute(f"REVOKE ALL ON {schema}.{table} FROM {role}")


def create_missing_roles(connection: sa.Connection) -> None:
    missing = set(ROLES) - existing_roles(connection)
    if missing and not may_create_roles(connection):
        log.warning(
            "the roles %s are missing and this user lacks CREATEROLE: nothing was granted to them; "
            "create them, then revoke and grant again with `alembic downgrade 0001` and "
            "`alembic upgrade head`",
            ", ".join(sorted(missing)),
        )
        return
    for role in sorted(missing):
        op.execute(CREATE_ROLE.replace("{role}", role))


def existing_roles(connection: sa.Connection) -> set[str]:
    named = sa.text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:roles)")
    return set(connection.scalars(named, {"roles": list(ROLES)}))


def may_create_roles(connection: sa.Connection) -> bool:
    mine = sa.text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
    return bool(connection.scalar(mine))


def schema_of(connection: sa.Connection) -> str:
    return str(connection.scalar(sa.text("SELECT quote_ident(current_schema())")))
