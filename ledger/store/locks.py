"""One worker a name: a lock that fails fast and says who holds it.

Takes an engine and a name; hands on a check that the lock is still held. On PostgreSQL an advisory
lock of a session of its own, on SQLite a lock of the operating system on a file beside the
database. Both are free again when their holder dies, however it dies; and they can be lost under a
holder who lives: a server ends the session, somebody puts another database in the place of this.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from ledger.errors import CouldNot
from ledger.store.connect import opened_file

Check = Callable[[], None]
"""Raises CouldNot where the lock was lost: then somebody else may hold it."""


@contextmanager
def alone(engine: sa.Engine, name: str, holder: str) -> Iterator[Check]:
    """Hold the lock of that name; raises CouldNot at once, naming its holder, where it is taken.

    `holder` is what others are told while it is held, as "process 12 on host". Whoever holds it for
    long asks the check before what nobody else may do meanwhile.
    """
    if engine.dialect.name == "postgresql":
        with _advisory_lock(engine, name, holder) as check:
            yield check
    elif (file := opened_file(engine)) is None:
        yield lambda: None  # a database in memory has no other process
    else:
        with _file_lock(file, name, holder) as check:
            yield check


@contextmanager
def _file_lock(database: Path, name: str, holder: str) -> Iterator[Check]:
    import fcntl

    path = database.with_name(f"{database.name}.{name}.lock")
    with path.open("a+") as file:
        if os.geteuid() == 0:  # else who works here every day could not open it any more
            owner = database.stat()
            with suppress(PermissionError):  # a root without rights on this disk
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _taken(name, file.read().strip()) from None
        file.truncate(0)
        file.write(holder)
        file.flush()
        there = {database: _identity(database), path: _identity(file.fileno())}

        def check() -> None:
            for place, before in there.items():
                if before != _identity(place):
                    raise _lost(name, f"{place} was removed or replaced")

        yield check  # the file stays: else a third process could lock another file of its name


def _identity(file: Path | int) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _advisory_lock(engine: sa.Engine, name: str, holder: str) -> Iterator[Check]:
    key = int.from_bytes(sha256(f"ledger {name}".encode()).digest()[:8], "big", signed=True)
    single = sa.create_engine(engine.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with single.connect() as connection:
        connection.execute(_SAY_WHO, {"holder": holder[:63]})
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(key))):
            raise _taken(name, str(connection.scalar(_HOLDER, {"key": key}) or ""))

        def check() -> None:
            try:
                connection.execute(_STILL_THERE)
            except exc.DBAPIError as failure:
                raise _lost(name, f"the server ended its session ({failure.orig})") from None

        try:
            yield check
        finally:  # the server notices a closed session a moment later only
            with suppress(exc.SQLAlchemyError):  # a session that is gone has no lock either
                connection.scalar(sa.select(sa.func.pg_advisory_unlock(key)))


_STILL_THERE = sa.text("SELECT 1")
_SAY_WHO = sa.text("SELECT set_config('application_name', :holder, false)")

# An advisory lock's 64-bit key stands in pg_locks as two halves.
_HOLDER = sa.text(
    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND ((l.classid::bigint << 32) | l.objid::bigint) = :key LIMIT 1"
)


def _taken(name: str, holder: str) -> CouldNot:
    return CouldNot(f"work on {name}", f"{holder or 'another process'} is at it already")


def _lost(name: str, why: str) -> CouldNot:
    return CouldNot(f"go on with {name}", f"its lock was lost: {why}")
