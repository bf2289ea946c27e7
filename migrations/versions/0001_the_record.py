"""The durable tables, and the triggers that let them grow and never change.

Revision: 0001, the first.
"""

import hashlib
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Compared byte by byte on every database.
Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# On SQLite only a column declared INTEGER is the row id.
Position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# What a log of no events commits to (RFC 6962, section 2.1).
EMPTY_ROOT = hashlib.sha256(b"").digest()

# `recursive_triggers` is off by default and a setting of each connection: without it INSERT OR
# REPLACE deletes the old row and no DELETE trigger hears of it. So INSERT refuses a taken key.
ON_SQLITE = """
CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events is append-only: UPDATE is refused');
END;

CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events is append-only: DELETE is refused');
END;

CREATE TRIGGER events_append BEFORE INSERT ON events
BEGIN
    SELECT RAISE(ABORT, 'events is append-only: position must be the last position + 1')
     WHERE NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM events);
    SELECT RAISE(ABORT, 'events is append-only: this event id is taken')
     WHERE EXISTS (SELECT 1 FROM events WHERE id = NEW.id);
    SELECT RAISE(ABORT, 'events is append-only: stream_version must be the last of its stream + 1')
     WHERE NEW.stream_version IS NOT (SELECT coalesce(max(stream_version), 0) + 1
                                        FROM events WHERE stream = NEW.stream);
END;

CREATE TRIGGER disclosures_refuse_update BEFORE UPDATE ON disclosures
BEGIN
    SELECT RAISE(ABORT, 'disclosures may be added and erased, never changed: UPDATE is refused');
END;

CREATE TRIGGER disclosures_add BEFORE INSERT ON disclosures
BEGIN
    SELECT RAISE(ABORT, 'disclosures may be added and erased, never changed: this one is there')
     WHERE EXISTS (SELECT 1 FROM disclosures
                    WHERE position = NEW.position AND digest = NEW.digest);
END;

CREATE TRIGGER tree_head_refuse_delete BEFORE DELETE ON tree_head
BEGIN
    SELECT RAISE(ABORT, 'tree_head only grows: DELETE is refused');
END;

CREATE TRIGGER tree_head_refuse_insert BEFORE INSERT ON tree_head
BEGIN
    SELECT RAISE(ABORT, 'tree_head has one row: INSERT is refused')
     WHERE EXISTS (SELECT 1 FROM tree_head);
END;

CREATE TRIGGER tree_head_grow BEFORE UPDATE ON tree_head
BEGIN
    SELECT RAISE(ABORT, 'tree_head only grows: a smaller size is refused')
     WHERE NEW.size < OLD.size;
    SELECT RAISE(ABORT, 'tree_head only grows: another root at the same size is refused')
     WHERE NEW.size = OLD.size AND NEW.root IS NOT OLD.root;
END;
"""

# The tables are named with their schema: a temporary table called events would else come first.
ON_POSTGRESQL = """
CREATE FUNCTION {schema}.ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% %: % is refused', TG_TABLE_NAME, TG_ARGV[0], TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- Index scans only: a plan is kept for the session, and may be from when the table was empty.
CREATE FUNCTION {schema}.ledger_events_append() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    low bigint; high bigint; added bigint; last bigint; gap record;
BEGIN
    SELECT min(position), max(position), count(*) INTO low, high, added FROM fresh;
    IF added = 0 THEN
        RETURN NULL;
    END IF;
    SELECT coalesce(max(position), 0) INTO last FROM {schema}.events WHERE position < low;
    IF low <> last + 1 OR high <> last + added THEN
        RAISE EXCEPTION 'events is append-only: got positions % to %, wanted % to %',
            low, high, last + 1, last + added
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    SELECT follows.stream, follows.got, follows.before INTO gap FROM (
        SELECT stream, stream_version AS got, coalesce(
            lag(stream_version) OVER (PARTITION BY stream ORDER BY position),
            (SELECT max(e.stream_version) FROM {schema}.events e
              WHERE e.stream = f.stream AND e.stream_version < f.stream_version),
            0) AS before
        FROM fresh f
    ) AS follows WHERE follows.got <> follows.before + 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'events is append-only: got stream_version % of %, wanted %',
            gap.got, gap.stream, gap.before + 1
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION {schema}.ledger_tree_head_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.size < OLD.size THEN
        RAISE EXCEPTION 'tree_head only grows: size % after % is refused', NEW.size, OLD.size
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.size = OLD.size AND NEW.root <> OLD.root THEN
        RAISE EXCEPTION 'tree_head only grows: another root at size % is refused', NEW.size
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE ON {schema}.events
    FOR EACH ROW EXECUTE FUNCTION {schema}.ledger_refuse('is append-only');
CREATE TRIGGER events_refuse_truncate BEFORE TRUNCATE ON {schema}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.ledger_refuse('is append-only');
CREATE TRIGGER events_append AFTER INSERT ON {schema}.events REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.ledger_events_append();

CREATE TRIGGER disclosures_refuse_update BEFORE UPDATE ON {schema}.disclosures
    FOR EACH ROW EXECUTE FUNCTION {schema}.ledger_refuse('may be added and erased, never changed');
CREATE TRIGGER disclosures_refuse_truncate BEFORE TRUNCATE ON {schema}.disclosures
    FOR EACH STATEMENT
    EXECUTE FUNCTION {schema}.ledger_refuse('may be added and erased, never changed');

CREATE TRIGGER tree_head_grow BEFORE UPDATE ON {schema}.tree_head
    FOR EACH ROW EXECUTE FUNCTION {schema}.ledger_tree_head_grow();
CREATE TRIGGER tree_head_refuse_delete BEFORE DELETE ON {schema}.tree_head
    FOR EACH ROW EXECUTE FUNCTION {schema}.ledger_refuse('only grows');
CREATE TRIGGER tree_head_refuse_truncate BEFORE TRUNCATE ON {schema}.tree_head
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.ledger_refuse('only grows');

-- Ordinary triggers sleep while session_replication_role is replica; these do not.
ALTER TABLE {schema}.events
    ENABLE ALWAYS TRIGGER events_refuse_change,
    ENABLE ALWAYS TRIGGER events_refuse_truncate,
    ENABLE ALWAYS TRIGGER events_append;
ALTER TABLE {schema}.disclosures
    ENABLE ALWAYS TRIGGER disclosures_refuse_update,
    ENABLE ALWAYS TRIGGER disclosures_refuse_truncate;
ALTER TABLE {schema}.tree_head
    ENABLE ALWAYS TRIGGER tree_head_grow,
    ENABLE ALWAYS TRIGGER tree_head_refuse_delete,
    ENABLE ALWAYS TRIGGER tree_head_refuse_truncate;
"""


def upgrade() -> None:
    """Create the tables, the one row of the tree head, and the triggers of this database."""
    create_events()
    create_disclosures()
    create_tree_head()
    create_checkpoints()
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        # The driver runs one statement at a time; a blank line stands between two.
        statements = ON_SQLITE.strip().split("\n\n")
    elif connection.dialect.name == "postgresql":
        schema = connection.scalar(sa.text("SELECT quote_ident(current_schema())"))
        statements = [ON_POSTGRESQL.replace("{schema}", schema)]
    else:
        raise NotImplementedError(
            f"got a {connection.dialect.name} database, wanted sqlite or postgresql: "
            "nothing here would keep its events from being changed"
        )
    for statement in statements:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: the record is never dropped."""
    raise RuntimeError(
        "downgrade past 0001 is refused: it would drop the events, and events are never deleted; "
        "to be rid of a ledger, drop its database"
    )


def create_events() -> None:
    op.create_table(
        "events",
        sa.Column("position", Position, primary_key=True, autoincrement=False),
        sa.Column("id", Name, nullable=False, unique=True),
        sa.Column("stream", Name, nullable=False),
        sa.Column("stream_version", sa.Integer(), nullable=False),
        sa.Column("type", Name, nullable=False),
        sa.Column("type_version", sa.Integer(), nullable=False),
        sa.Column("recorded_at", Name, nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("stream", "stream_version", name="events_stream_version"),
    )


def create_disclosures() -> None:
    op.create_table(
        "disclosures",
        sa.Column("position", Position, primary_key=True, autoincrement=False),
        sa.Column("digest", Name, primary_key=True),
        sa.Column("disclosure", sa.Text(), nullable=False),
    )


def create_tree_head() -> None:
    tree_head = op.create_table(
        "tree_head",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", Name, nullable=False),
        sa.CheckConstraint("id = 1", name="tree_head_one_row"),
    )
    first = {"id": 1, "size": 0, "root": EMPTY_ROOT, "frontier": b"", "recorded_at": ""}
    op.bulk_insert(tree_head, [first])


def create_checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("projection", Name, primary_key=True),
        sa.Column("projection_version", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("rebuilt_at", Name, nullable=False),
    )
