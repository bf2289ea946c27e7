"""Where the ledger is, and the first steps: `init` and `example`.

Takes `--db` (on the group or after the command), LEDGER_DATABASE_URL or `ledger.db` in the current
folder; hands on an Engine whose ledger is there and at this version's revision.
"""

import os
from typing import Any

import click
import sqlalchemy as sa

from ledger.book import open_ledger
from ledger.cli.output import (
    Command,
    examples,
    format_option,
    print_bytes,
    print_json,
    print_table,
    say,
)
from ledger.errors import CouldNot
from ledger.examples import shipped
from ledger.store.connect import connect, file_of, place_of, reading
from ledger.store.migrate import HEAD, revision_of, upgrade

VARIABLE = "LEDGER_DATABASE_URL"
DEFAULT = "ledger.db"
_DATABASE = "ledger.database"
MEANINGS = {
    "article": "one news article about a release of prisoners, as reports",
    "wider": "67 claims of others around it, in 39 reports; some contradict each other",
}


def database_option(command: Command) -> Command:
    """Add `--db` to a command, which is handed `database`: option, group or default."""
    return click.option(
        "--db",
        "database",
        metavar="URL|PATH",
        callback=_chosen,
        help=f"The ledger: a SQLite file or a database URL.  [env: {VARIABLE}; default: {DEFAULT}]",
    )(command)


def _chosen(context: click.Context, _: click.Parameter, given: str | None) -> str:
    chosen = given if given is not None else context.find_root().params.get("database")
    if chosen == "":
        raise click.BadParameter("got nothing, wanted a SQLite file or a database URL")
    context.meta[_DATABASE] = chosen or os.environ.get(VARIABLE) or DEFAULT
    return str(context.meta[_DATABASE])


def place(context: click.Context) -> str:
    """Return which database a command used, for a message: without its password."""
    try:
        return place_of(connect(context.meta[_DATABASE]))
    except (KeyError, CouldNot):
        return "the database"


def open_to_read(database: str) -> sa.Engine:
    """Return the engine of a ledger that is there; never creates one. Raises CouldNot."""
    return _closed_at_the_end(open_ledger(database))


def open_to_record(database: str) -> sa.Engine:
    """Return the engine of a ledger; on SQLite it is made if it is not there. Raises CouldNot."""
    is_new = is_missing(database)
    engine = _closed_at_the_end(open_ledger(database, create=True))
    if is_new:
        say(f"made a new ledger: {file_of(engine)}")
    return engine


def open_to_try(database: str) -> sa.Engine:
    """Return an engine for a dry run: where there is no ledger yet, an empty one in memory."""
    if not is_missing(database):
        return open_to_read(database)
    engine = _closed_at_the_end(connect("sqlite://"))
    upgrade(engine)
    say(f"there is no ledger at {database} yet: checked against an empty one")
    return engine


def _closed_at_the_end(engine: sa.Engine) -> sa.Engine:
    """Let the command close its connections when it ends, however it ends."""
    click.get_current_context().call_on_close(engine.dispose)
    return engine


def is_missing(database: str) -> bool:
    """Return whether the database is a SQLite file that is not there yet, or empty."""
    file = file_of(connect(database))
    return file is not None and (not file.exists() or file.stat().st_size == 0)


@click.command(epilog=examples(
    "ledger init",
    "ledger init --db postgresql://me@localhost/incidents",
))
@format_option("table", "json")
@database_option
def init(database: str, format: str) -> None:
    """Make a ledger, or bring an older one to this version.

    Doing it twice is fine, and no event changes. A SQLite ledger also makes itself with the first
    `ledger record`.
    """
    engine = _closed_at_the_end(connect(database))
    before = None if is_missing(database) else _revision(engine)
    upgrade(engine)
    how = {None: "made", HEAD: "was there already"}.get(before, f"upgraded from {before}")
    if format == "json":
        place: dict[str, Any] = {"database": place_of(engine), "revision": HEAD, "before": before}
        print_json(place)
    else:
        click.echo(f"{place_of(engine)}: {how}, revision {HEAD}")


def _revision(engine: sa.Engine) -> str | None:
    with reading(engine) as connection:
        return revision_of(connection)


@click.command(short_help="Print a file of reports to try.", epilog=examples(
    "ledger example",
    "ledger example article > article.yaml",
    "ledger example wider | ledger record -",
))
@click.argument("name", required=False, type=click.Choice(shipped.NAMES))
def example(name: str | None) -> None:
    """Print a file of reports that comes with the ledger, or list them.

    It shows how reports are written; record it as it stands, or start from it.
    """
    if name is None:
        print_table(("example", "what it is"), [(name, MEANINGS[name]) for name in shipped.NAMES])
    else:
        print_bytes(shipped.example(name))
