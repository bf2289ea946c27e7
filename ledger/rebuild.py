"""Rebuilding: answer tables folded from the events, from zero, in one transaction.

Takes the recorded events (from `store`) and the projections; hands on filled answer tables and a
checkpoint, the last position that is in them. A reader sees the old tables until the commit.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from ledger.events import RecordedEvent
from ledger.projections.projection import Projection, rows_over_time
from ledger.store.append import format_time
from ledger.store.checkpoints import Checkpoint, write_checkpoint
from ledger.store.connect import writing
from ledger.store.read import read_by_stream, read_head

BATCH = 5_000
"""Rows that are written together."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What one rebuild did."""

    projection: str
    position: int
    events: int
    rows: int


def rebuild(engine: sa.Engine, projection: Projection, now: datetime) -> Rebuilt:
    """Fill the projection's tables from the first event to the last, and set its checkpoint.

    One transaction: a crash at any point leaves the old tables and the old checkpoint.
    """
    with writing(engine) as connection:
        position = read_head(connection).size
        _clear(connection, projection)
        counter = _Counter(read_by_stream(connection, projection.category))
        written = _write(connection, projection, _rows(projection, counter))
        checkpoint = Checkpoint(position, format_time(now))
        write_checkpoint(connection, projection.name, projection.version, checkpoint)
    return Rebuilt(projection.name, position, counter.count, written)


class _Counter:
    """Counts the events that flow through."""

    def __init__(self, events: Iterable[RecordedEvent]) -> None:
        self.events, self.count = events, 0

    def __iter__(self) -> Iterator[RecordedEvent]:
        for event in self.events:
            self.count += 1
            yield event


def _rows(
    projection: Projection, events: Iterable[RecordedEvent]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for stream, of_stream in groupby(events, key=lambda event: event.stream):
        yield from rows_over_time(projection, stream, of_stream)


def _clear(connection: sa.Connection, projection: Projection) -> None:
    for table in projection.tables:
        table.drop(connection, checkfirst=True)
        table.create(connection)


def _write(
    connection: sa.Connection,
    projection: Projection,
    rows: Iterable[tuple[str, dict[str, Any]]],
) -> int:
    by_name = {table.name: table for table in projection.tables}
    waiting: dict[str, list[dict[str, Any]]] = {name: [] for name in by_name}
    written = 0
    for name, row in rows:
        waiting[name].append(row)
        written += 1
        if len(waiting[name]) >= BATCH:
            connection.execute(sa.insert(by_name[name]), waiting[name])
            waiting[name] = []
    for name, rest in waiting.items():
        if rest:
            connection.execute(sa.insert(by_name[name]), rest)
    return written
