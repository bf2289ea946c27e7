"""Runs the revisions: on the connection handed in by `ledger.store.migrate`, or on a database named
on alembic's own command line (`alembic -x db=URL …`; without it, the one in alembic.ini)."""

from logging.config import fileConfig

import sqlalchemy as sa
from alembic import context

from ledger.store.connect import connect, writing
from ledger.store.migrate import VERSION_TABLE
from ledger.tables import metadata


def run(connection: sa.Connection) -> None:
    """Run the revisions in the transaction that the connection is in."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        include_object=is_durable,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


def is_durable(
    thing: object, name: str | None, kind: str, reflected: bool, compare_to: object
) -> bool:
    """Return False for the answer tables: rebuilds create those, not revisions."""
    return not (kind == "table" and reflected and name not in metadata.tables)


def run_from_the_command_line() -> None:
    """Open the database named on the command line and run there."""
    if context.is_offline_mode():
        raise SystemExit("could not print SQL: the revisions look at the database they run on")
    config = context.config
    if config.config_file_name is not None:
        fileConfig(config.config_file_name, disable_existing_loggers=False)
    url = context.get_x_argument(as_dictionary=True).get("db")
    engine = connect(url or config.get_main_option("sqlalchemy.url", ""))
    with writing(engine) as connection:
        run(connection)
    engine.dispose()


handed_in = context.config.attributes.get("connection")
if handed_in is None:
    run_from_the_command_line()
else:
    run(handed_in)
