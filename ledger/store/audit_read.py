"""Reading for the audit: pages of stored rows as bytes, by the driver alone.

Takes a connection (from `connect.reading`) and a range of positions; hands on rows as they are
stored, undecoded and unbelieved. The audit reads every event there is: SQLAlchemy's result would
cost more than the hashing. Text comes as bytes, so that a damaged one can still be looked at.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from ledger.errors import LedgerError, shown
from ledger.store.connect import run_bare

_COLUMNS = ("id", "stream", "stream_version", "type", "type_version", "recorded_at")
_GAP = (
    "a.stream_version <> 1 AND NOT EXISTS (SELECT 1 FROM events b"
    " WHERE b.stream = a.stream AND b.stream_version = a.stream_version - 1"
    " AND b.position < a.position AND a.stream_version > 1)"
)
_PLACEHOLDER = {"sqlite": "?", "postgresql": "%s"}


class EventRow(NamedTuple):
    """One row of `events`: text as bytes, any other value as it was found or as SQL words it."""

    position: Any
    id: Any
    stream: Any
    stream_version: Any
    type: Any
    type_version: Any
    recorded_at: Any
    entry: Any
    leaf_hash: Any


class HeadRow(NamedTuple):
    """The row of `tree_head`."""

    size: int
    root: bytes
    frontier: bytes
    recorded_at: str


_HEAD_KINDS = (int, bytes, bytes, str)


class OddHead(LedgerError):
    """The table tree_head does not hold one head; says what it holds."""


def read_ends(connection: sa.Connection) -> tuple[int, int]:
    """Return the first and the last position; 1 and 0 where there is no event."""
    # SQLite reads the whole index for two aggregates in one query, and one end of it for each.
    one = "(SELECT {}(position) FROM events)"
    first, last = _rows(connection, f"SELECT {one.format('min')}, {one.format('max')}")[0]
    return (1, 0) if last is None else (first, last)


def read_whole_ends(connection: sa.Connection) -> tuple[int, int]:
    """Return the first and the last position that is a whole number: a changed table has others."""
    whole = {"sqlite": "typeof(position) = 'integer'", "postgresql": "position = floor(position)"}
    ends = "CAST(min(position) AS BIGINT), CAST(max(position) AS BIGINT)"
    sql = f"SELECT {ends} FROM events WHERE {whole[connection.dialect.name]}"
    first, last = _rows(connection, sql)[0]
    return (1, 0) if last is None else (first, last)


def read_count(connection: sa.Connection, after: int) -> int:
    """Return how many events are behind a position; of all of them SQLite counts an index."""
    where = _filled(connection, " WHERE position > {0}") if after else ""
    count: int = _rows(
        connection, f"SELECT count(*) FROM events{where}", (after,) if after else ())[0][0]
    return count


def read_beyond(connection: sa.Connection, last: int, limit: int) -> list[Any]:
    """Return the first positions of events behind a position."""
    sql = "SELECT position FROM events WHERE position > {0} ORDER BY 1 LIMIT {0}"
    return [row[0] for row in _rows(connection, _filled(connection, sql), (last, limit))]


def read_indexed(connection: sa.Connection) -> tuple[int, int]:
    """Return how many events the index on streams holds, and how many of them `read_gaps` names.

    One pass over the index, 0.13 seconds for a million events.
    """
    sql = f"SELECT count(a.stream), count(CASE WHEN {_GAP} THEN 1 END) FROM events a"
    held, gaps = _rows(connection, sql)[0]
    return held, gaps


def read_faults(connection: sa.Connection, limit: int) -> list[str]:
    """Return what the database itself finds wrong with its file and indexes; SQLite looks.

    Two seconds for a million events.
    """
    if connection.dialect.name != "sqlite":
        return []
    return [text for (text,) in _rows(connection, f"PRAGMA integrity_check({limit})")
            if text != "ok"]


def read_head_row(connection: sa.Connection) -> HeadRow:
    """Return the row of tree_head; raises OddHead where somebody made something else of it."""
    rows = _rows(connection, "SELECT size, root, frontier, recorded_at FROM tree_head")
    if not rows:
        raise OddHead("the row of tree_head is gone")
    if len(rows) > 1:
        raise OddHead(f"tree_head has {len(rows):,} rows")
    for name, value, kind in zip(HeadRow._fields, rows[0], _HEAD_KINDS, strict=True):
        if type(value) is not kind:
            raise OddHead(f"{name} of tree_head is {shown(value)}")
    return HeadRow(*rows[0])


def read_page(connection: sa.Connection, first: int, last: int) -> list[tuple[Any, ...]]:
    """Return the rows at these positions, in their order; fewer where positions are missing.

    Each has the values of an EventRow behind its position. To name them, or to read the position
    that is known, would cost more than some checks do.
    """
    return _rows(connection, _PAGE[connection.dialect.name], (first, last))


def read_rows(connection: sa.Connection, first: int, last: int) -> list[EventRow]:
    """Return whole rows at these positions, to look at one by one."""
    found = _rows(connection, _WHOLE[connection.dialect.name], (first, last))
    return [EventRow(*row) for row in found]


def read_disclosures(
    connection: sa.Connection, first: int, last: int
) -> list[tuple[int, bytes, bytes]]:
    """Return position, digest and disclosure at these positions, in order of both.

    Also of what stands between the last one and the next, where a column holds such a number.
    """
    return _rows(connection, _DISCLOSURES[connection.dialect.name], (first, last))


def read_strays(
    connection: sa.Connection, size: int, limit: int
) -> tuple[int, list[tuple[int, str]]]:
    """Return how many disclosures stand at positions without event that no page of 1 to size has.

    With them position and digest of the first.
    """
    rows = "SELECT position, digest FROM disclosures WHERE"
    sql = (  # in one condition with the others, IS NULL would keep SQLite from the index
        f" FROM ({rows} position < 1 OR position >= {{0}} + 1 UNION ALL {rows} position IS NULL) d"
        " WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.position = d.position)"
    )
    count = _rows(connection, _filled(connection, f"SELECT count(*){sql}"), (size,))[0][0]
    first = f"SELECT d.position, d.digest{sql} ORDER BY 1, 2 LIMIT {{0}}"
    return count, _rows(connection, _filled(connection, first), (size, limit)) if count else []


def read_later(
    connection: sa.Connection, stream: str, type: str, after: int
) -> list[tuple[int, bytes]]:
    """Return position and entry of the events of one type in one stream after a position."""
    sql = ("SELECT position, entry FROM events WHERE stream = {0} AND type = {0}"
           " AND position > {0} ORDER BY 1")
    return _rows(connection, _filled(connection, sql), (stream, type, after))


def read_gaps(
    connection: sa.Connection, first: int, last: int, limit: int
) -> list[tuple[int, Any, Any]]:
    """Return position, stream and stream_version of events that do not follow their stream's last.

    Sound where `is_unique` says so of stream and stream_version. The whole log is one pass over an
    index; a part of it costs one look-up an event.
    """
    sql = (
        "SELECT a.position, a.stream, a.stream_version FROM events a"
        f" WHERE {{{{where}}}}{_GAP} ORDER BY +a.position LIMIT {{0}}"
    )
    sql = _filled(connection, sql)
    if first == 1:
        # The plus keeps SQLite off the table: all that is asked for stands in an index.
        whole = "+a.position <= {0} AND "
        return _rows(connection, sql.format(where=_filled(connection, whole)), (last, limit))
    part = _filled(connection, "a.position BETWEEN {0} AND {0} AND ")
    return _rows(connection, sql.format(where=part), (first, last, limit))


def read_repeated(
    connection: sa.Connection, columns: Sequence[str], last: int, limit: int
) -> list[tuple[int, int]]:
    """Return first and second position of events that share these columns.

    One look at the catalog where a unique index forbids it; a pass over the log where it is gone.
    """
    if _is_unique(connection, columns):
        return []
    names = ", ".join(columns)
    sql = (f"SELECT min(position), max(position) FROM events WHERE position <= {{0}}"
           f" GROUP BY {names} HAVING count(*) > 1 ORDER BY 1 LIMIT {{0}}")
    return _rows(connection, _filled(connection, sql), (last, limit))


def _is_unique(connection: sa.Connection, columns: Sequence[str]) -> bool:
    inspector = sa.inspect(connection)
    constraints = [c["column_names"] for c in inspector.get_unique_constraints("events")]
    indexes = [i["column_names"] for i in inspector.get_indexes("events") if i["unique"]]
    return list(columns) in constraints or list(columns) in indexes


def _rows(connection: sa.Connection, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """Return all rows of a statement; raises SQLAlchemy's DBAPIError."""
    return run_bare(connection, sql, parameters, many_bytes=True)


def _filled(connection: sa.Connection, sql: str) -> str:
    return sql.format(_PLACEHOLDER[connection.dialect.name])


# On SQLite any column may hold any kind of value, and the same bytes as a blob are another value:
# no stream that is one is found by its name. So what is a blob there is no bytes here. Every text
# is less than every blob; of other kinds such a column holds none, as it makes texts of numbers.
_BYTES_OF_TEXT = "CASE WHEN {0} < x'' THEN CAST({0} AS BLOB) ELSE %s END"


def _events_sql(raw: str, holder: str, *more: str) -> str:
    """Return the statement that reads events; `raw` makes bytes of a text, `more` comes first."""
    texts = {"id", "stream", "type", "recorded_at"}
    derived = (raw.format(name) if name in texts else name for name in _COLUMNS)
    columns = ", ".join((*more, *derived, "entry", "leaf_hash"))
    return (
        f"SELECT {columns} FROM events"
        f" WHERE position BETWEEN {holder} AND {holder} ORDER BY position"
    )


def _disclosures_sql(raw: str, holder: str) -> str:
    columns = ", ".join(raw.format(name) for name in ("digest", "disclosure"))
    return (
        f"SELECT position, {columns} FROM disclosures"
        f" WHERE position >= {holder} AND position < {holder} + 1"
        " ORDER BY position, disclosures.digest"
    )


_RAW = {
    "sqlite": (_BYTES_OF_TEXT % "NULL", "?"),
    "postgresql": ("convert_to({0}, 'UTF8')", "%s"),
}
_SHOWN = {**_RAW, "sqlite": (_BYTES_OF_TEXT % "quote({0})", "?")}
_PAGE = {name: _events_sql(*words) for name, words in _RAW.items()}
_WHOLE = {name: _events_sql(*words, "position") for name, words in _SHOWN.items()}
_DISCLOSURES = {name: _disclosures_sql(*words) for name, words in _RAW.items()}
