"""Reading: one stream, one category, some types or the whole log, in constant memory.

Takes a connection (from `connect.reading`); hands on RecordedEvents in order of position, and what
lies between two streams as entries, in order of stream.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.encoding import decode
from ledger.entry import has_sealed
from ledger.errors import NoStream, NotFound
from ledger.events import RecordedEvent
from ledger.marks import marks

PAGE = 1_000
"""Events that are held in memory at once."""

Entry = tuple[str, int, bytes]
"""Stream, position, and what was recorded there."""

_events = tables.events.c


@dataclass(frozen=True, slots=True)
class TreeHead:
    """What the log commits to after its last event."""

    size: int
    root: bytes
    recorded_at: str
    """Of the last event; empty for a log without events."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events: every condition that is given must hold."""

    stream: str | None = None
    category: str | None = None
    types: Sequence[str] | None = None
    after: int = 0
    """Positions up to and including this one are left out."""
    up_to: int | None = None
    """The last position, included: the `as_of` of the question."""


EVERYTHING = Selection()


def read_events(
    connection: sa.Connection,
    selection: Selection = EVERYTHING,
    *,
    backwards: bool = False,
    page: int = PAGE,
) -> Iterator[RecordedEvent]:
    """Yield the selected events in order of position, a page at a time."""
    query = sa.select(_events.position, _events.entry).where(*_conditions(selection)).limit(page)
    last: int | None = None
    while True:
        if backwards:
            step = query.order_by(_events.position.desc())
            step = step if last is None else step.where(_events.position < last)
        else:
            step = query.order_by(_events.position)
            step = step if last is None else step.where(_events.position > last)
        rows = [(row.position, row.entry) for row in connection.execute(step)]
        yield from _decoded(connection, rows)
        if len(rows) < page:
            return
        last = rows[-1][0]


def read_stream(connection: sa.Connection, stream: str) -> list[RecordedEvent]:
    """Return all events of one stream in order; raises NoStream where there is none."""
    events = list(read_events(connection, Selection(stream=stream)))
    if not events:
        raise NoStream(stream)
    return events


def read_position(connection: sa.Connection, position: int) -> RecordedEvent:
    """Return the event at a position; raises NotFound."""
    selection = Selection(after=position - 1, up_to=position)
    for event in read_events(connection, selection):
        return event
    raise NotFound(f"position {position}", f"its positions are 1 to {read_head(connection).size}")


def read_entry(connection: sa.Connection, position: int) -> bytes:
    """Return the exact bytes recorded at a position; raises NotFound."""
    query = sa.select(_events.entry).where(_events.position == position)
    entry: bytes | None = connection.execute(query).scalar_one_or_none()
    if entry is None:
        raise NotFound(f"position {position}")
    return entry


def read_time(connection: sa.Connection, position: int) -> datetime:
    """Return when the event at the position was recorded; raises NotFound."""
    query = sa.select(_events.recorded_at).where(_events.position == position)
    recorded_at = connection.execute(query).scalar_one_or_none()
    if recorded_at is None:
        raise NotFound(f"position {position}")
    return datetime.fromisoformat(recorded_at)


def read_streams(
    connection: sa.Connection,
    streams: Iterable[str],
    up_to: int | None = None,
    *,
    personal: bool = True,
) -> dict[str, list[RecordedEvent]]:
    """Return the events of several streams, by stream; one without events has an empty list.

    Without `personal` the personal fields are left out.
    """
    names = sorted(set(streams))
    found: dict[str, list[RecordedEvent]] = {name: [] for name in names}
    last = sa.true() if up_to is None else _events.position <= up_to
    query = (
        sa.select(_events.position, _events.entry, _events.stream)
        .where(among(connection, _events.stream, names), last)
        .order_by(_events.position)
    )
    rows = connection.execute(query).all()
    entries = [(row.position, row.entry) for row in rows]
    events = (
        _decoded(connection, entries) if personal else (decode(*one, None) for one in entries)
    )
    for row, event in zip(rows, events, strict=True):
        found[row.stream].append(event)
    return found


def entries_between(
    connection: sa.Connection,
    category: str,
    after: str,
    until: str | None,
    up_to: int,
) -> list[Entry]:
    """Return the entries of a category's streams with names in (after, until].

    By stream, each in order of stream_version; until None: to the last one. Raw: who reads streams
    to fold them has no use for a name, and may not need to decode them.
    """
    query = (
        sa.select(_events.stream, _events.position, _events.entry)
        .where(*_between(category, after, until), _events.position <= up_to)
        .order_by(_events.stream, _events.stream_version)
    )
    with connection.execute(query) as result:
        assert result.cursor is not None
        return [*result.cursor.fetchall()]  # the driver's tuples: there are millions


def stream_marks(
    connection: sa.Connection, category: str, events: int, known: Iterable[str] = ()
) -> Iterator[str]:
    """Yield the marks that divide a category. Reads an index only: 0.15 µs an event."""

    def further(mark: str, many: int) -> str | None:
        query = sa.select(_events.stream).where(*_between(category, mark, None))
        found: str | None = connection.scalar(
            query.order_by(_events.stream).offset(many - 1).limit(1)
        )
        return found

    yield from marks(f"{category}/", f"{category}0", events, known, further)


def changed_streams(
    connection: sa.Connection, category: str, after: int, up_to: int
) -> list[str]:
    """Return the streams of a category that have events at these positions, sorted by name.

    Costs what lies between the positions: asked for in any other words, a database reads the whole
    index of the category's streams instead.
    """
    query = sa.select(_events.stream).where(_events.position > after, _events.position <= up_to)
    names = set(connection.scalars(query))
    return sorted(name for name in names if name.startswith(f"{category}/"))


def streams_that_name(
    connection: sa.Connection, stream: str, types: Sequence[str]
) -> list[str]:
    """Return the other streams where an event of these types names the stream, sorted.

    Costs a scan of the log, 0.3 seconds a million events on SQLite: no index knows the types.
    """
    mark = f'"{stream}"'.encode("ascii")
    query = sa.select(_events.stream, _events.entry).where(
        _events.type.in_(types), _events.stream != stream
    )
    with connection.execute(query, execution_options={"stream_results": True}) as found:
        return sorted({row.stream for row in found if mark in row.entry})


def read_head(connection: sa.Connection) -> TreeHead:
    """Return the tree size and root hash after the last event."""
    rows = connection.execute(sa.select(tables.tree_head)).all()
    if len(rows) != 1:
        raise NotFound("the tree head", f"tree_head has {len(rows)} rows; verify this ledger")
    (row,) = rows
    return TreeHead(row.size, row.root, row.recorded_at)


def with_ids(connection: sa.Connection, ids: Sequence[str]) -> dict[str, RecordedEvent]:
    """Return the events that have one of the ids, by id."""
    if not ids:
        return {}
    query = sa.select(_events.position, _events.entry).where(among(connection, _events.id, ids))
    rows = [(row.position, row.entry) for row in connection.execute(query)]
    return {event.id: event for event in _decoded(connection, rows)}


def streams_at(connection: sa.Connection, positions: Sequence[int]) -> dict[int, str]:
    """Return the stream of the event at each position; positions without event are left out."""
    if not positions:
        return {}
    query = sa.select(_events.position, _events.stream).where(
        among(connection, _events.position, positions)
    )
    return {row.position: row.stream for row in connection.execute(query)}


def among(
    connection: sa.Connection, column: sa.ColumnElement[Any], values: Sequence[Any]
) -> sa.ColumnElement[bool]:
    """Return the condition that the column holds one of the values, however many they are.

    One bound parameter in all, so there is no limit on their number and one cached statement.
    """
    if connection.dialect.name == "postgresql":
        many = sa.bindparam(None, list(values), type_=sa.ARRAY(column.type))
        return column == sa.any_(many)
    as_rows = sa.func.json_each(sa.bindparam(None, list(values), type_=sa.JSON))
    return column.in_(sa.select(as_rows.table_valued("value").c.value))


def _conditions(selection: Selection) -> Iterator[sa.ColumnElement[bool]]:
    yield _events.position > selection.after
    if selection.up_to is not None:
        yield _events.position <= selection.up_to
    if selection.stream is not None:
        yield _events.stream == selection.stream
    if selection.category is not None:
        yield _in_category(selection.category)
    if selection.types is not None:
        yield _events.type.in_(selection.types)


def _between(
    category: str, after: str, until: str | None
) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """One bound from below and one from above: of two, an index may be entered at the wrong one."""
    until = f"{category}0" if until is None else until
    return _events.stream > max(after, f"{category}/"), _events.stream <= until


def _in_category(category: str) -> sa.ColumnElement[bool]:
    # "0" is the character after "/": every name that begins with "category/" lies between.
    return (_events.stream > f"{category}/") & (_events.stream < f"{category}0")


def _decoded(
    connection: sa.Connection, rows: list[tuple[int, bytes]]
) -> Iterator[RecordedEvent]:
    """Decode a page of entries with the disclosures that belong to them."""
    disclosures = _disclosures(connection, [at for at, entry in rows if has_sealed(entry)])
    for position, entry in rows:
        yield decode(position, entry, disclosures.get(position, {}))


def _disclosures(
    connection: sa.Connection, positions: Sequence[int]
) -> dict[int, dict[str, str]]:
    """Return what is left of the sealed fields of the events: digest to disclosure, by position."""
    found: dict[int, dict[str, str]] = {}
    if positions:
        d = tables.disclosures.c
        query = sa.select(d.position, d.digest, d.disclosure).where(
            among(connection, d.position, positions)
        )
        for position, digest, disclosure in connection.execute(query):
            found.setdefault(position, {})[digest] = disclosure
    return found
