"""The durable tables, brought to the revision that this version of the ledger needs.

Takes an engine; hands on a database that `store` can append to. Runs the revisions of
`migrations/`, which the wheel carries as `ledger/_migrations`. Alembic is slow to import:
that waits until there is work to do.
"""

import threading
from pathlib import Path

import sqlalchemy as sa

from ledger.errors import CouldNot
from ledger.store.connect import writing

HEAD = "0009"
"""The newest revision under `migrations/versions`; a test holds the two together."""

VERSION_TABLE = "ledger_revision"
"""Not alembic's own name, so that a ledger can share a schema with another migrated application."""

# Alembic keeps the migration that is running in module globals: one at a time in a process.
_alembic_lock = threading.Lock()


def revision_of(connection: sa.Connection) -> str | None:
    """Return the revision of this database's ledger, or None where there is no ledger."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    version = sa.table(VERSION_TABLE, sa.column("version_num", sa.Text))
    return connection.scalar(sa.select(version.c.version_num))


def upgrade(engine: sa.Engine) -> None:
    """Create the durable tables, or bring them to HEAD; nothing happens where they are there.

    Takes an engine from `connect`. All or nothing, under the append lock: when several processes
    upgrade at once, one works and the others wait for it.
    Raises CouldNot when a newer version of the ledger has been here.
    """
    with engine.connect() as connection:
        revision = revision_of(connection)
    if revision == HEAD:
        return
    if revision is not None and revision > HEAD:
        why = f"it is at revision {revision}, this version knows {HEAD}: install a newer one"
        raise CouldNot("upgrade the ledger", why)
    with _alembic_lock, writing(engine) as connection:
        _run_revisions(connection)


def scripts() -> Path:
    """Return the folder of the revisions: in this package when installed, or in the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def _run_revisions(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    # A percent sign would be read as the start of an interpolation.
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
