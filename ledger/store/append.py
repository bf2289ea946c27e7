"""Appending: all events of a batch or none, over one or several streams.

Takes NewEvents (from `intake`) and a connection from `connect.writing`; hands on a Receipt for each.
The tree of leaf hashes grows in the same transaction, which the caller commits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.encoding import disclosed, encode, says_the_same, unsealed
from ledger.errors import CouldNot, IdConflict, WrongExpectedVersion
from ledger.events import Data, NewEvent
from ledger.merkle import Frontier, extend, frontier_from_bytes, frontier_to_bytes, leaf_hash, root
from ledger.store.connect import holds_append_lock
from ledger.store.read import stream_versions, with_ids

Clock = Callable[[], datetime]
"""Hands out the time now, aware of its zone."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an event stands in the log; the same for a first append and for its retry."""

    position: int
    id: str
    stream: str
    stream_version: int
    recorded_at: str


@dataclass(frozen=True, slots=True)
class Log:
    """The log's end, read under the append lock."""

    frontier: Frontier
    recorded_at: str


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
    known = _recorded_already(connection, events)
    fresh = _once_each([event for event in events if event.id not in known])
    versions = stream_versions(connection, {event.stream for event in fresh} | {*(expected or ())})
    retried = {event.stream for event in events} - {event.stream for event in fresh}
    for stream, version in (expected or {}).items():
        if stream not in retried and versions.get(stream, 0) != version:
            raise WrongExpectedVersion(stream, versions.get(stream, 0), version)
    if fresh:
        known |= _write(connection, fresh, versions, recorded_by, clock())
    return [known[event.id] for event in events]


def format_time(moment: datetime) -> str:
    """Return the moment as entries hold it: UTC, six digits, so that text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


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


def _once_each(events: list[NewEvent]) -> list[NewEvent]:
    """Return the events without repeated ones; refuse one id with two contents in one batch."""
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


def _write(
    connection: sa.Connection,
    events: Sequence[NewEvent],
    versions: dict[str, int],
    recorded_by: str,
    now: datetime,
) -> dict[str, Receipt]:
    log = read_log(connection)
    recorded_at = max(format_time(now), log.recorded_at)  # a clock set back changes no order
    receipts, rows, sealed = {}, [], []
    position = log.frontier.size
    for event in events:
        position += 1
        version = versions[event.stream] = versions.get(event.stream, 0) + 1
        entry, digests = encode(event, version, recorded_at, recorded_by)
        rows.append(_row(position, event, version, recorded_at, entry))
        sealed += [
            {"position": position, "digest": digest, "disclosure": text}
            for digest, text in digests.items()
        ]
        receipts[event.id] = Receipt(position, event.id, event.stream, version, recorded_at)
    connection.execute(sa.insert(tables.events), rows)
    if sealed:
        connection.execute(sa.insert(tables.disclosures), sealed)
    frontier = extend(log.frontier, [row["leaf_hash"] for row in rows])
    _move_head(connection, frontier, recorded_at)
    return receipts


def _row(
    position: int, event: NewEvent, version: int, recorded_at: str, entry: bytes
) -> dict[str, Any]:
    return {
        "position": position,
        "id": event.id,
        "stream": event.stream,
        "stream_version": version,
        "type": event.type,
        "type_version": event.type_version,
        "recorded_at": recorded_at,
        "entry": entry,
        "leaf_hash": leaf_hash(entry),
    }


def read_log(connection: sa.Connection) -> Log:
    """Return the end of the log: its tree's frontier and the time of its last event."""
    row = connection.execute(sa.select(tables.tree_head)).one_or_none()
    if row is None:
        raise CouldNot("append", "the row of tree_head is gone; verify this ledger")
    return Log(frontier_from_bytes(row.size, row.frontier), row.recorded_at)


def _move_head(connection: sa.Connection, frontier: Frontier, recorded_at: str) -> None:
    connection.execute(
        sa.update(tables.tree_head).values(
            size=frontier.size,
            root=root(frontier),
            frontier=frontier_to_bytes(frontier),
            recorded_at=recorded_at,
        )
    )
