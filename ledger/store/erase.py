"""Erasing: the only code that deletes rows, and what it leaves behind in the files.

Takes positions and digests (from `audit.erasing`) and a connection from `connect.writing`; hands on
how many disclosures went. Also the looks that an erasure needs: entries that hold some bytes, and
every disclosure in turn. The database lets a disclosure go only under a PersonalDataErased event
that names it, so that event is appended before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import exc

from ledger import tables
from ledger.errors import CouldNot
from ledger.store.connect import BUSY_TIMEOUT_MS, holds_append_lock, run_bare
from ledger.store.read import PAGE, among

_events, _sealed = tables.events.c, tables.disclosures.c
_ENTRY = (_events.position, _events.stream, _events.entry)


class Raw(NamedTuple):
    """An event as it is stored."""

    position: int
    stream: str
    entry: bytes


class Disclosure(NamedTuple):
    """Salt and value of one personal field."""

    position: int
    digest: str
    text: str


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What became of the bytes that a deletion leaves in the database's files."""

    clean: bool
    """Whether the files that the ledger knows of hold nothing of them any more."""
    why: str = ""
    """Where they are not: what stood in the way."""


def erase_disclosures(connection: sa.Connection, doomed: Iterable[tuple[int, str]]) -> int:
    """Delete the disclosures with these positions and digests; return how many were there.

    The connection must come from `connect.writing`, with the events that say so appended before.
    """
    assert holds_append_lock(connection), "erasing needs a connection from store.connect.writing"
    gone = 0
    for position, digest in doomed:
        this = (_sealed.position == position) & (_sealed.digest == digest)
        gone += connection.execute(sa.delete(tables.disclosures).where(this)).rowcount
    return gone


def read_raw(connection: sa.Connection, positions: Sequence[int]) -> Iterator[Raw]:
    """Yield the stored events at these positions, in order."""
    query = sa.select(*_ENTRY).where(among(connection, _events.position, positions))
    for row in connection.execute(query.order_by(_events.position)):
        yield Raw(*row)


def read_raw_streams(connection: sa.Connection, streams: Sequence[str]) -> Iterator[Raw]:
    """Yield the stored events of these streams, in order of position, a page at a time."""
    yield from _paged(connection, among(connection, _events.stream, streams))


def read_raw_with(connection: sa.Connection, needles: Sequence[str]) -> Iterator[Raw]:
    """Yield the stored events whose entry holds one of the texts; reads every entry once."""
    find = sa.func.instr if connection.dialect.name == "sqlite" else _strpos
    found = [find(_events.entry, needle.encode()) > 0 for needle in needles]
    yield from _paged(connection, sa.or_(*found))


def read_disclosures(
    connection: sa.Connection, positions: Sequence[int] | None = None
) -> Iterator[Disclosure]:
    """Yield the disclosures of these events, or all there are, a page at a time.

    Raises CouldNot for one that is no text, as SQLite can hold: no question would find it, so it
    would stay behind.
    """
    place, last = sa.tuple_(_sealed.position, _sealed.digest), (0, "")
    chosen = sa.true() if positions is None else among(connection, _sealed.position, positions)
    while True:
        after = place > sa.tuple_(*map(sa.literal, last))
        query = sa.select(tables.disclosures).where(chosen, after)
        in_order = query.order_by(_sealed.position, _sealed.digest)
        rows = connection.execute(in_order.limit(PAGE)).all()
        for position, *texts in rows:
            if any(type(text) is not str for text in texts):
                why = f"one of position {position} is no text; verify this ledger"
                raise CouldNot("read the disclosures", why)
            yield Disclosure(position, *texts)
        if len(rows) < PAGE:
            return
        last = rows[-1][:2]


def held(connection: sa.Connection, positions: Sequence[int]) -> Mapping[int, dict[str, str]]:
    """Return position to digest to disclosure, of what was not erased."""
    found: dict[int, dict[str, str]] = {}
    for position, digest, text in read_disclosures(connection, positions):
        found.setdefault(position, {})[digest] = text
    return found


def scrub(engine: sa.Engine, *, vacuum: bool, patience_ms: int) -> Scrubbed:
    """Remove what deleted rows leave in the files, as far as this database lets us.

    On SQLite secure_delete has zeroed the rows themselves, but not copies that a page kept when its
    rows were moved to a neighbour (VACUUM writes the file anew), nor the write-ahead log (which is
    cut off, once no reader needs it). On PostgreSQL the table is written anew. Neither reaches
    backups, replicas or an archive of the log. Costs what writing the file, or the table, costs.
    """
    if engine.dialect.name == "sqlite":
        return _scrub_sqlite(engine, vacuum, patience_ms)
    return _scrub_postgresql(engine) if vacuum else Scrubbed(False, "it was not vacuumed")


def _scrub_sqlite(engine: sa.Engine, vacuum: bool, patience_ms: int) -> Scrubbed:
    with engine.connect() as connection:
        run_bare(connection, f"PRAGMA busy_timeout = {patience_ms}")
        try:
            if vacuum:
                run_bare(connection, "VACUUM")
            ((busy, *_),) = run_bare(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
        except exc.DBAPIError as failure:
            return Scrubbed(False, str(failure.orig))
        finally:
            run_bare(connection, f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    if busy:
        return Scrubbed(False, "somebody is reading the ledger as it was before")
    return Scrubbed(vacuum, "" if vacuum else "it was not vacuumed")


def _scrub_postgresql(engine: sa.Engine) -> Scrubbed:
    raw = engine.raw_connection()  # begins no transaction, which VACUUM would refuse
    try:
        cursor = raw.cursor()
        before = _file_node(cursor)
        cursor.execute("VACUUM (FULL) disclosures")
        if _file_node(cursor) != before:
            return Scrubbed(True)
    except engine.dialect.loaded_dbapi.Error as failure:
        return Scrubbed(False, " ".join(str(failure).split()))
    finally:
        raw.close()
    # Who may not is told so by a warning of the server, not by an error.
    return Scrubbed(False, "only the owner of the tables may VACUUM them")


def _file_node(cursor: Any) -> int:
    """Return the number of the file that holds the table; written anew, it has another."""
    cursor.execute("SELECT pg_relation_filenode('disclosures')")
    return int(cursor.fetchone()[0])


def _strpos(entry: sa.ColumnElement[bytes], needle: bytes) -> sa.Function[int]:
    """Return where the needle stands in the entry, from 1; as instr on SQLite."""
    return sa.func.position(sa.literal(needle, sa.LargeBinary).op("IN")(entry))


def _paged(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> Iterator[Raw]:
    last = 0
    while True:
        query = sa.select(*_ENTRY).where(chosen, _events.position > last)
        rows = connection.execute(query.order_by(_events.position).limit(PAGE)).all()
        for row in rows:
            yield Raw(*row)
        if len(rows) < PAGE:
            return
        last = rows[-1].position
