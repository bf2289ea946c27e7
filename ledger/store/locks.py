"""One worker a name: a lock that fails fast and says who holds it.

Takes an engine and a name; hands on nothing. On PostgreSQL an advisory lock of a session of its
own, on SQLite a lock of the operating system on a file beside the database. Both are free again
when their holder dies, however it dies.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa

from ledger.errors import CouldNot
from ledger.store.connect import file_of


@contextmanager
def alone(engine: sa.Engine, name: str, holder: str) -> Iterator[None]:
    """Hold the lock of that name; raises CouldNot at once, naming its holder, where it is taken.

    `holder` is what others are told while it is held, as "process 12 on host".
    """
    file = file_of(engine)
    if engine.dialect.name == "postgresql":
        with _advisory_lock(engine, name, holder):
            yield
    elif file is None:
        yield  # a database in memory has no other process
    else:
        with _file_lock(file.with_name(f"{file.name}.{name}.lock"), name, holder):
            yield


@contextmanager
def _file_lock(path: Path, name: str, holder: str) -> Iterator[None]:
    import fcntl

    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _taken(name, file.read().strip()) from None
        file.truncate(0)
        file.write(holder)
        file.flush()
        yield  # the file stays: removing it would let a third process lock another file of its name


@contextmanager
def _advisory_lock(engine: sa.Engine, name: str, holder: str) -> Iterator[None]:
    key = int.from_bytes(sha256(f"ledger {name}".encode()).digest()[:8], "big", signed=True)
    single = sa.create_engine(engine.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with single.connect() as connection:
        connection.execute(_SAY_WHO, {"holder": holder[:63]})
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(key))):
            raise _taken(name, str(connection.scalar(_HOLDER, {"key": key}) or ""))
        try:
            yield
        finally:  # the server notices a closed session a moment later only
            connection.scalar(sa.select(sa.func.pg_advisory_unlock(key)))


_SAY_WHO = sa.text("SELECT set_config('application_name', :holder, false)")

# An advisory lock's 64-bit key stands in pg_locks as two halves.
_HOLDER = sa.text(
    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
    " AND ((l.classid::bigint << 32) | l.objid::bigint) = :key LIMIT 1"
)


def _taken(name: str, holder: str) -> CouldNot:
    return CouldNot(f"work on {name}", f"{holder or 'another process'} is at it already")
