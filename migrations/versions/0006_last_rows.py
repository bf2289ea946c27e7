"""The same laws of an insert on SQLite, looked up instead of aggregated.

Revision: 0006, after 0005.

The last position and the last stream_version are the first rows of an index read backwards;
`max()` finds the same rows and takes longer, twice for every event. PostgreSQL is left alone: its
trigger runs once for all rows of a statement.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

BEFORE = """
CREATE TRIGGER events_append BEFORE INSERT ON events
BEGIN
    SELECT RAISE(ABORT, 'events is append-only: position must be the last position + 1')
     WHERE NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM events);
    SELECT RAISE(ABORT, 'events is append-only: this event id is taken')
     WHERE EXISTS (SELECT 1 FROM events WHERE id = NEW.id);
    SELECT RAISE(ABORT, 'events is append-only: stream_version must be the last of its stream + 1')
     WHERE NEW.stream_version IS NOT (SELECT coalesce(max(stream_version), 0) + 1
                                        FROM events WHERE stream = NEW.stream);
END
"""
AFTER = """
CREATE TRIGGER events_append BEFORE INSERT ON events
BEGIN
    SELECT RAISE(ABORT, 'events is append-only: position must be the last position + 1')
     WHERE NEW.position IS NOT 1 + coalesce(
        (SELECT position FROM events ORDER BY position DESC LIMIT 1), 0);
    SELECT RAISE(ABORT, 'events is append-only: this event id is taken')
     WHERE EXISTS (SELECT 1 FROM events WHERE id = NEW.id);
    SELECT RAISE(ABORT, 'events is append-only: stream_version must be the last of its stream + 1')
     WHERE NEW.stream_version IS NOT 1 + coalesce(
        (SELECT stream_version FROM events WHERE stream = NEW.stream
          ORDER BY stream_version DESC LIMIT 1), 0);
END
"""


def upgrade() -> None:
    """Replace the trigger; both happen in one transaction, so the table is never without."""
    replace_with(AFTER)


def downgrade() -> None:
    """Bring the older one back."""
    replace_with(BEFORE)


def replace_with(trigger: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER events_append")
        op.execute(trigger)
