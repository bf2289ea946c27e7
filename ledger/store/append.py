"""Appending: all events of a batch or none, over one or several streams.

Takes NewEvents (from `intake`) and a connection from `connect.writing`; hands on their Receipts.
The tree of leaf hashes grows in the same transaction, which the caller commits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from ledger.encoding import encode_in, recording, says_the_same
from ledger.errors import CouldNot, IdConflict, WrongExpectedVersion
from ledger.events import Data, NewEvent
from ledger.kinds.sealing import disclosed, unsealed
from ledger.merkle import Frontier, extend, frontier_from_bytes, frontier_to_bytes, leaf_hash, root
from ledger.store.connect import holds_append_lock, run_bare
from ledger.store.read import with_ids
from ledger.store.statements import STATEMENTS

Clock = Callable[[], datetime]
"""Hands out the time now, aware of its zone."""


class Receipt(NamedTuple):
    """Where an event stands in the log; the same for a first append and for its retry."""

    position: int
    id: str
    stream: str
    stream_version: int
    recorded_at: str


@dataclass(frozen=True, slots=True)
class Log:
    """What an append must know of the log, read under the append lock."""

    frontier: Frontier
    recorded_at: str
    """Of the last event."""
    may_have_some: bool
    """Whether any of the events may be in the log already; not where each id is above all there, as
    ids that begin with the time are, unless several write at once."""
    versions: dict[str, int]
    """The last stream_version of each stream that is touched; a new one is left out."""


def append(
    connection: sa.Connection,
    events: Sequence[NewEvent],
    *,
    recorded_by: str,
    clock: Clock,
    expected: Mapping[str, int] | None = None,
) -> list[Receipt]:
    """Append the events in their order and return a receipt for each.

    `expected` gives, for some streams or none, the stream_version that the writer believes the
    stream to be at (0: not there yet). An event whose id is recorded already with the same content
    is not appended again: its first receipt is returned, so a retry after a lost reply is safe.

    Raises WrongExpectedVersion, IdConflict, EntryTooLarge, BadValue; then nothing of the batch is
    written. The connection must come from `connect.writing`, and the events are durable once its
    transaction has been committed. Costs one INSERT and one UPDATE for the whole batch.
    """
    assert holds_append_lock(connection), "append needs a connection from store.connect.writing"
    log = _look(connection, events, expected or {})
    known = _recorded_already(connection, events) if log.may_have_some else {}
    fresh = _once_each([event for event in events if event.id not in known] if known else events)
    if expected and (fresh or not events):
        retried = {event.stream for event in events} - {event.stream for event in fresh}
        for stream, version in expected.items():
            if stream not in retried and log.versions.get(stream, 0) != version:
                raise WrongExpectedVersion(stream, log.versions.get(stream, 0), version)
    written = _write(connection, log, fresh, recorded_by, clock()) if fresh else []
    if len(fresh) == len(events):
        return written
    known |= {receipt.id: receipt for receipt in written}
    return [known[event.id] for event in events]


def format_time(moment: datetime) -> str:
    """Return the moment as entries hold it: UTC, six digits, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def _recorded_already(
    connection: sa.Connection, events: Sequence[NewEvent]
) -> dict[str, Receipt]:
    """Return the receipts of events that are in the log; refuse an id with other content."""
    recorded = with_ids(connection, [event.id for event in events])
    for event in events:
        if (first := recorded.get(event.id)) is None:
            continue
        same_place = (first.stream, first.type) == (event.stream, event.type)
        if not (same_place and says_the_same(first, _whole(event))):
            raise IdConflict(event.id, first.position)
    return {
        event.id: Receipt(
            event.position, event.id, event.stream, event.stream_version, event.recorded_at
        )
        for event in recorded.values()
    }


def _once_each(events: Sequence[NewEvent]) -> Sequence[NewEvent]:
    """Return the events without repeated ones; refuse one id with two contents in one batch."""
    if len(events) == 1 or len({event.id for event in events}) == len(events):
        return events
    by_id: dict[str, NewEvent] = {}
    for event in events:
        first = by_id.setdefault(event.id, event)
        if first is not event and (first.stream, first.type, _whole(first)) != (
            event.stream, event.type, _whole(event)
        ):
            raise IdConflict(event.id)
    return list(by_id.values())


def _whole(event: NewEvent) -> Data:
    """Return the event's data with its personal fields put back."""
    return unsealed(event.data, dict(map(disclosed, event.disclosures.values())))


def _look(
    connection: sa.Connection, events: Sequence[NewEvent], expected: Mapping[str, int]
) -> Log:
    statements = STATEMENTS[connection.dialect.name]
    if len(events) == 1 and expected.keys() <= {events[0].stream}:
        rows = run_bare(connection, statements.look_for_one, (events[0].id, events[0].stream))
    else:
        streams = list({event.stream for event in events} | expected.keys())
        rows = run_bare(connection, statements.look, (_many(connection, streams),))
    frontier, recorded_at, largest = None, "", None
    versions: dict[str, int] = {}
    for what, name, number, blob in rows:
        if what == "stream":
            versions[name] = number
        elif what == "id":
            largest = name
        else:
            frontier, recorded_at = frontier_from_bytes(number, blob), name
    if frontier is None:
        raise CouldNot("append", "the row of tree_head is gone; verify this ledger")
    may_have_some = largest is not None and any(event.id <= largest for event in events)
    return Log(frontier, recorded_at, may_have_some, versions)


def _write(
    connection: sa.Connection,
    log: Log,
    events: Sequence[NewEvent],
    recorded_by: str,
    now: datetime,
) -> list[Receipt]:
    recorded_at = max(format_time(now), log.recorded_at)  # a clock set back changes no order
    numbers = _numbered(events, log.versions)
    recorded = recording(recorded_at, recorded_by)
    encoded = [
        encode_in(event, number, recorded)
        for event, number in zip(events, numbers, strict=True)
    ]
    leaves = [leaf_hash(entry) for entry, _ in encoded]
    positions = range(log.frontier.size + 1, log.frontier.size + 1 + len(events))
    rows = [
        (position, event.id, event.stream, number, event.type, event.type_version, recorded_at,
         entry, leaf)
        for position, event, number, (entry, _), leaf in zip(
            positions, events, numbers, encoded, leaves, strict=True
        )
    ]
    sealed = [
        (position, digest, text)
        for position, (_, digests) in zip(positions, encoded, strict=True) if digests
        for digest, text in digests.items()
    ]
    frontier = extend(log.frontier, leaves)
    moved = (frontier.size, root(frontier), frontier_to_bytes(frontier), recorded_at)
    sql = STATEMENTS[connection.dialect.name]
    both = sql.insert_event_and_move_head if len(rows) == 1 else None
    if both is None:
        _insert(connection, sql.insert_event, sql.insert_events, rows)
    else:
        run_bare(connection, both, moved + rows[0])
    if sealed:  # before the head moves: SQLite then knows that none of them was erased
        _insert(connection, sql.insert_disclosure, sql.insert_disclosures, sealed)
    if len(rows) > 1:
        connection.exec_driver_sql(sql.move_head, moved)
    elif both is None:
        run_bare(connection, sql.move_head, moved)
    return [
        Receipt(position, event.id, event.stream, number, recorded_at)
        for position, event, number in zip(positions, events, numbers, strict=True)
    ]


def _numbered(events: Sequence[NewEvent], versions: dict[str, int]) -> list[int]:
    """Return the stream_version of each event, and bring `versions` up to them."""
    numbers = []
    for event in events:
        versions[event.stream] = number = versions.get(event.stream, 0) + 1
        numbers.append(number)
    return numbers


def _insert(
    connection: sa.Connection, one: str, many: str | None, rows: list[tuple[Any, ...]]
) -> None:
    if len(rows) == 1:
        run_bare(connection, one, rows[0])
    elif many is None:
        connection.exec_driver_sql(one, rows)
    else:
        # The driver would take three times as long to make arrays of the columns.
        connection.exec_driver_sql(many, (orjson.dumps(rows, default=bytes.hex).decode(),))


def _many(connection: sa.Connection, values: list[str]) -> object:
    """Return the values as one parameter: an array on PostgreSQL, JSON on SQLite."""
    return values if connection.dialect.name == "postgresql" else orjson.dumps(values).decode()
