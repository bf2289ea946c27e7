"""Who may erase, and that nothing is erased in silence.

Revision: 0005, after 0004.

A disclosure may go only when the ledger says so: a PersonalDataErased event of the same stream
names its position and digest, in the transaction of the deletion or before. And what was erased
does not come back. On PostgreSQL one more role, `ledger_eraser`, may delete disclosures.
"""

import logging
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

ERASER = "ledger_eraser"

# What the eraser may do, on which table.
GRANTS = (
    ("SELECT, INSERT", "events"),
    ("SELECT, DELETE", "disclosures"),
    ("SELECT, UPDATE", "tree_head"),
    ("SELECT", "checkpoints"),
    ("SELECT", "ledger_revision"),
)

# The last events of the stream come first: the erasure was appended a moment ago. What comes in
# with an event that the tree does not hold yet cannot have been erased: an append pays nothing.
ON_SQLITE = """
CREATE TRIGGER disclosures_erase BEFORE DELETE ON disclosures
BEGIN
    SELECT RAISE(ABORT, 'only a PersonalDataErased event erases disclosures: DELETE is refused')
     WHERE (SELECT 1 FROM events mine JOIN events said ON said.stream = mine.stream
             WHERE mine.position = OLD.position
               AND said.stream_version > mine.stream_version
               AND CASE WHEN said.type = 'PersonalDataErased' THEN
                       json_extract(CAST(said.entry AS TEXT), '$.data.position') = OLD.position
                       AND EXISTS (
                           SELECT 1 FROM json_each(CAST(said.entry AS TEXT), '$.data.digests')
                            WHERE value = OLD.digest)
                   END
             ORDER BY said.stream_version DESC LIMIT 1) IS NULL;
END;

CREATE TRIGGER disclosures_stay_erased BEFORE INSERT ON disclosures
WHEN NEW.position <= (SELECT size FROM tree_head)
BEGIN
    SELECT RAISE(ABORT, 'disclosures that were erased stay erased: INSERT is refused')
     WHERE EXISTS (SELECT 1 FROM events mine JOIN events said ON said.stream = mine.stream
             WHERE mine.position = NEW.position
               AND said.stream_version > mine.stream_version
               AND CASE WHEN said.type = 'PersonalDataErased' THEN
                       json_extract(CAST(said.entry AS TEXT), '$.data.position') = NEW.position
                       AND EXISTS (
                           SELECT 1 FROM json_each(CAST(said.entry AS TEXT), '$.data.digests')
                            WHERE value = NEW.digest)
                   END);
END;
"""

# Index scans only: a plan is kept for the session, and may be from when the table was empty. An
# event that this very transaction appended cannot have been erased before: its row says so (xmin),
# so an append pays next to nothing.
ON_POSTGRESQL = """
CREATE FUNCTION {schema}.ledger_is_erased(entry bytea, at bigint, digest text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT convert_from(entry, 'UTF8')::jsonb @> jsonb_build_object(
        'data', jsonb_build_object('position', at, 'digests', jsonb_build_array(digest)))
$$;

CREATE FUNCTION {schema}.ledger_disclosures_erase() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
BEGIN
    PERFORM 1 FROM {schema}.events mine JOIN {schema}.events said ON said.stream = mine.stream
      WHERE mine.position = OLD.position AND said.stream_version > mine.stream_version
        AND CASE WHEN said.type = 'PersonalDataErased' THEN
                {schema}.ledger_is_erased(said.entry, OLD.position, OLD.digest) END
      ORDER BY said.stream_version DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION
            'only a PersonalDataErased event erases disclosures: DELETE is refused'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END $$;

CREATE FUNCTION {schema}.ledger_disclosures_stay_erased() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
BEGIN
    PERFORM 1 FROM fresh
      JOIN {schema}.events mine ON mine.position = fresh.position
      JOIN {schema}.events said ON said.stream = mine.stream
       AND said.stream_version > mine.stream_version
     WHERE mine.xmin <> pg_current_xact_id()::xid
       AND CASE WHEN said.type = 'PersonalDataErased' THEN
               {schema}.ledger_is_erased(said.entry, fresh.position, fresh.digest) END
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'disclosures that were erased stay erased: INSERT is refused'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER disclosures_erase BEFORE DELETE ON {schema}.disclosures
    FOR EACH ROW EXECUTE FUNCTION {schema}.ledger_disclosures_erase();
CREATE TRIGGER disclosures_stay_erased AFTER INSERT ON {schema}.disclosures
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.ledger_disclosures_stay_erased();

ALTER TABLE {schema}.disclosures
    ENABLE ALWAYS TRIGGER disclosures_erase,
    ENABLE ALWAYS TRIGGER disclosures_stay_erased;
"""
OFF_SQLITE = """
DROP TRIGGER disclosures_erase;

DROP TRIGGER disclosures_stay_erased;
"""
OFF_POSTGRESQL = """
DROP TRIGGER disclosures_erase ON {schema}.disclosures;
DROP TRIGGER disclosures_stay_erased ON {schema}.disclosures;
DROP FUNCTION {schema}.ledger_disclosures_erase();
DROP FUNCTION {schema}.ledger_disclosures_stay_erased();
DROP FUNCTION {schema}.ledger_is_erased(bytea, bigint, text);
"""

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
    """Add the triggers and, on PostgreSQL, the role with its grants."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        run_each(ON_SQLITE)
        return
    schema = schema_of(connection)
    op.execute(ON_POSTGRESQL.replace("{schema}", schema))
    if not has_role(connection) and not may_create_roles(connection):
        log.warning(
            "the role %s is missing and this user lacks CREATEROLE: nothing was granted to it; "
            "create it, then revoke and grant again with `alembic downgrade 0004` and "
            "`alembic upgrade head`",
            ERASER,
        )
        return
    if not has_role(connection):
        op.execute(CREATE_ROLE.replace("{role}", ERASER))
    op.execute(f"GRANT USAGE ON SCHEMA {schema} TO {ERASER}")
    for what, table in GRANTS:
        op.execute(f"GRANT {what} ON {schema}.{table} TO {ERASER}")


def downgrade() -> None:
    """Take triggers and grants back; the role stays, another database may use it."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        run_each(OFF_SQLITE)
        return
    schema = schema_of(connection)
    op.execute(OFF_POSTGRESQL.replace("{schema}", schema))
    if has_role(connection):
        for _, table in GRANTS:
            op.execute(f"REVOKE ALL ON {schema}.{table} FROM {ERASER}")


def run_each(statements: str) -> None:
    """Run them one by one, as the driver wants it; a blank line stands between two."""
    for statement in statements.strip().split("\n\n"):
        op.execute(statement)


def has_role(connection: sa.Connection) -> bool:
    named = sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role")
    return connection.scalar(named, {"role": ERASER}) is not None


def may_create_roles(connection: sa.Connection) -> bool:
    mine = sa.text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
    return bool(connection.scalar(mine))


def schema_of(connection: sa.Connection) -> str:
    return str(connection.scalar(sa.text("SELECT quote_ident(current_schema())")))
