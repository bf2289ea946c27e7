"""Opening the database and its transactions.

Takes a database URL; hands on an Engine. Takes an Engine, or a connection that is kept; hands on a
connection inside a transaction that the caller owns.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from ledger.errors import CouldNot

APPEND_LOCK = 0x1ED6E12
"""The key of the advisory lock under which every append to a PostgreSQL ledger is made."""
BUSY_TIMEOUT_MS = 60_000
"""How long a writer waits for another one on SQLite."""
RENEWED_SECONDS = 60
"""The age at which the next transaction gets another connection to a server: one that stood idle
for long may be cut off, by the server's timeout or on the way, and nobody is told."""

CACHE_KIB = 8_192
"""Pages that a SQLite connection keeps: the inner pages of the indexes of two million events. With
four times as many, a page has left the processor's cache before it is used again: a batch of
appends took 3 to 4 % longer, and no answer was faster."""
SCAN_CACHE_KIB = 4_096
"""Pages that it keeps while it reads each but once."""

_PURPOSE = "ledger_purpose"
_FROZEN = "ledger_frozen"
_APPEND, _CHANGE, _READ = "append", "change", "read"

Connectable = sa.Engine | sa.Connection
"""A database: by its engine, or by a connection that the caller keeps for one transaction after the
other, which spares each the way to the pool and back (benchmarks/README.md)."""


def connect(url: str) -> sa.Engine:
    """Return an engine for the database URL; a plain path means a SQLite file.

    Nothing is opened yet. Raises CouldNot for a URL that SQLAlchemy cannot use.
    """
    try:
        address = _address(url)
        is_served = address.get_backend_name() == "postgresql"
        engine = sa.create_engine(address, pool_recycle=RENEWED_SECONDS if is_served else -1)
    except (exc.ArgumentError, exc.NoSuchModuleError, ModuleNotFoundError, ValueError) as refusal:
        raise CouldNot(f"use the database {_without_password(url)}", _reason(refusal)) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "do_connect", _open_as_it_may_be)
        event.listen(engine, "connect", _prepare_sqlite)
    else:
        event.listen(engine, "connect", _prepare_postgresql)
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def writing(database: Connectable) -> AbstractContextManager[sa.Connection]:
    """Open a transaction that holds the append lock from its first statement.

    Commits at the end, rolls back on any exception. One writer at a time: positions are handed out
    under this lock, so they are gapless and in commit order. What is committed is on disk.
    """
    return _transaction(database, _APPEND)


def changing(database: Connectable) -> AbstractContextManager[sa.Connection]:
    """Open a transaction that writes anything but events: answer tables, checkpoints, runs.

    It does not hold the append lock; on SQLite, which has one writer, appends wait for it all the
    same, so keep it short. Commits at the end, rolls back on any exception.
    """
    return _transaction(database, _CHANGE)


def reading(database: Connectable) -> AbstractContextManager[sa.Connection]:
    """Open a transaction that sees one state of the ledger, however many statements it reads."""
    return _transaction(database, _READ)


@contextmanager
def scanning(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction as `reading` does, for whoever reads each row once, in order.

    SQLite keeps few pages meanwhile: those that are read next are written where the last were, in
    the cache of the processor. That is 3 % faster, and leaves its memory to others.
    """
    with reading(engine) as connection:
        try:
            _keep_pages(connection, SCAN_CACHE_KIB)
            yield connection
        finally:
            _keep_pages(connection, CACHE_KIB)


def _keep_pages(connection: sa.Connection, kib: int) -> None:
    if connection.dialect.name == "sqlite":
        run_bare(connection, f"PRAGMA cache_size = -{kib}")


@contextmanager
def _transaction(database: Connectable, purpose: str) -> Iterator[sa.Connection]:
    opened = database.connect() if isinstance(database, sa.Engine) else nullcontext(database)
    with opened as connection:
        info = connection.info
        before = info.get(_PURPOSE)  # None, or that of a transaction that is open: begin refuses
        info[_PURPOSE] = purpose
        try:
            with connection.begin():
                if connection.dialect.name == "sqlite":
                    # Before the driver does; not by an event, which would slow every statement.
                    run_bare(connection, _BEGIN_ON_SQLITE[purpose])
                yield connection
        finally:
            info[_PURPOSE] = before
            if _FROZEN in info:
                _check_frozen(connection)


def holds_append_lock(connection: sa.Connection) -> bool:
    """Return whether the connection is in a transaction of `writing`."""
    return connection.in_transaction() and connection.info.get(_PURPOSE) == _APPEND


def run_bare(
    connection: sa.Connection, sql: str, parameters: Sequence[Any] = (), *, many_bytes: bool = False
) -> list[Any]:
    """Return the rows of a statement that is run by the driver alone, in the driver's own words.

    For the few statements that every append waits for, and those that read every event, where
    SQLAlchemy's result costs more time than they do. With `many_bytes` a server sends bytes as they
    are and does not spell them out in hexadecimal. No event of the engine is fired; errors are
    SQLAlchemy's all the same.
    """
    driver = connection.dialect.loaded_dbapi
    binary = {"binary": True} if many_bytes and connection.dialect.name == "postgresql" else {}
    cursor: Any = connection.connection.cursor(**binary)
    try:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []
    except driver.Error as failure:
        if connection.dialect.is_disconnect(failure, connection.connection, cursor):
            connection.invalidate(failure)
        raise exc.DBAPIError.instance(sql, None, failure, driver.Error) from failure
    finally:
        cursor.close()


def file_of(engine: sa.Engine) -> Path | None:
    """Return the file of a SQLite ledger; None for a server, a database in memory, or a URI."""
    url = engine.url
    is_file = url.database not in (None, "", ":memory:") and "uri" not in url.query
    return Path(str(url.database)) if is_file and engine.dialect.name == "sqlite" else None


def opened_file(engine: sa.Engine) -> Path | None:
    """Return the file that a SQLite engine opens, whatever name leads to it; None in memory."""
    with engine.connect() as connection:
        _, _, name = run_bare(connection, "PRAGMA database_list")[0]
    return Path(name).resolve() if name else None


def place_of(engine: sa.Engine) -> str:
    """Return where the ledger is, for people: the URL with its password hidden."""
    return engine.url.render_as_string(hide_password=True)


_BEGIN_ON_SQLITE = {_READ: "BEGIN", _CHANGE: "BEGIN IMMEDIATE", _APPEND: "BEGIN IMMEDIATE"}

# One round trip, so several statements in one text. An append is READ COMMITTED, whatever the
# server's default: stricter, each statement would see the log as it was before the wait for the
# lock. A commit that is not on disk is no commit; a server set to `off` is overruled for this one.
_BEGIN_ON_POSTGRESQL = {
    None: "BEGIN",
    _READ: "BEGIN ISOLATION LEVEL REPEATABLE READ",
    _CHANGE: "BEGIN",
    _APPEND: f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({APPEND_LOCK}),"
    " CASE WHEN current_setting('synchronous_commit') = 'off'"
    " THEN set_config('synchronous_commit', 'on', true) END",
}


def _open_as_it_may_be(
    _: Any, record: Any, arguments: list[str], options: dict[str, Any]
) -> None:
    """Let a file be read whose folder cannot be written, where SQLite's log could not be opened.

    Sound as long as nobody else writes to it, which each transaction looks at again when it ends.
    Raises CouldNot where there is something in a log beside it, and not the index of it that its
    writer keeps.
    """
    record.info.pop(_FROZEN, None)
    file = Path(arguments[0])
    if options.get("uri") or not file.is_file() or os.access(file.parent, os.W_OK):
        return
    log, index = (file.with_name(file.name + end) for end in ("-wal", "-shm"))
    if not log.exists() or not log.stat().st_size:
        arguments[0] = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
        options["uri"] = True
        record.info[_FROZEN] = file, _looks(file)
    elif not index.exists():
        why = f"{log.name} belongs to it, and takes a folder that can be written: copy both there"
        raise CouldNot(f"read {file}", why)


def _check_frozen(connection: sa.Connection) -> None:
    """Raise CouldNot where somebody wrote to a file that was taken for a copy."""
    file, before = connection.info[_FROZEN]
    if _looks(file) != before:
        connection.invalidate()
        why = "it was written to meanwhile, and its folder cannot be written; ask again, or copy it"
        raise CouldNot(f"read {file}", why)


def _looks(file: Path) -> tuple[int, ...]:
    log = file.with_name(file.name + "-wal")
    now = file.stat()
    return now.st_size, now.st_mtime_ns, now.st_ino, log.stat().st_size if log.exists() else 0


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA recursive_triggers = ON")
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    # The WAL keeps its 1,000 pages: one that is written over is synced in half the time of one that
    # grows, and a larger one is not faster for large appends either (benchmarks/README.md).
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Have SQLite write to a log.

    Of several who open a new file at once it sends some away without letting them wait: they wait
    for the writer that is in their way, as they would for any other statement, and try again.
    """
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as failure:
            if failure.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("ROLLBACK")


def _prepare_postgresql(connection: Any, _: Any) -> None:
    connection.autocommit = True  # the driver begins nothing by itself; _begin_postgresql does


def _begin_postgresql(connection: sa.Connection) -> None:
    purpose = connection.info.get(_PURPOSE)
    connection.exec_driver_sql(_BEGIN_ON_POSTGRESQL[purpose])


def _address(url: str) -> sa.URL:
    """Return the URL; a plain path is a SQLite file, whatever characters it has."""
    if "://" not in url:
        return sa.URL.create("sqlite", database=url)
    address = sa.make_url(url.replace("postgres://", "postgresql://", 1))
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise ValueError("a ledger lives in SQLite or PostgreSQL")
    return address


def _without_password(url: str) -> str:
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except exc.ArgumentError:
        return repr(url.split("@")[-1])


def _reason(refusal: Exception) -> str:
    if isinstance(refusal, ModuleNotFoundError):
        return f"{refusal}; install incident-ledger[postgres]"
    return str(refusal)
