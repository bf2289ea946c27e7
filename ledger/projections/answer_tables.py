"""Answer tables in the database: made, filled, compared, replaced.

Takes a connection and rows; hands on nothing but counts and differences. A projection's tables
exist twice while it is rebuilt: the live ones, which answers read, and those on the side
(`…__new`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa

from ledger.projections.projection import Projection

BATCH = 5_000
"""Rows that are written together; any number gives the same tables."""
SIDE = "__new"
EXAMPLES = 20
"""Differences that are named; all are counted and mended."""

Row = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Drift:
    """A row that a rebuild gave otherwise than the live table held."""

    table: str
    key: dict[str, Any]
    live: dict[str, Any] | None
    """What the table held; None: nothing."""
    rebuilt: dict[str, Any] | None
    """What the events say; None: nothing."""


class AnswerTables:
    """The tables of one projection, live or on the side."""

    def __init__(self, projection: Projection, *, side: bool = False) -> None:
        self.projection = projection
        self.tables: dict[str, sa.Table] = {
            table.name: _beside(table) if side else table for table in projection.tables
        }

    def exist(self, connection: sa.Connection) -> bool:
        """Return whether all of them are there."""
        inspector = sa.inspect(connection)
        return all(inspector.has_table(table.name) for table in self.tables.values())

    def make(self, connection: sa.Connection) -> None:
        """Make them empty, in place of what is there by these names."""
        self.drop(connection)
        for table in self.tables.values():
            table.create(connection)

    def drop(self, connection: sa.Connection) -> None:
        """Remove those that are there."""
        for table in self.tables.values():
            table.drop(connection, checkfirst=True)

    def write(self, connection: sa.Connection, rows: Iterable[Row]) -> int:
        """Insert the rows and return how many there were."""
        pending = iter(rows)
        written = 0
        while batch := list(islice(pending, BATCH)):
            for name, table in self.tables.items():
                if of_table := [row for where, row in batch if where == name]:
                    _insert(connection, table, of_table)
            written += len(batch)
        return written

    def forget(self, connection: sa.Connection, streams: Sequence[str]) -> None:
        """Delete all rows of these streams."""
        for table in self.tables.values():
            for start in range(0, len(streams), 500):
                some = streams[start : start + 500]
                connection.execute(sa.delete(table).where(table.c.stream.in_(some)))


def differences(
    connection: sa.Connection, live: AnswerTables, rebuilt: AnswerTables
) -> tuple[int, list[Drift]]:
    """Return how many rows differ, and the first of them, each with its table and key."""
    count = 0
    named: list[Drift] = []
    for name, table in live.tables.items():
        for drift in _differences(connection, name, table, rebuilt.tables[name]):
            count += 1
            if len(named) < EXAMPLES:
                named.append(drift)
    return count, named


def mend(connection: sa.Connection, live: AnswerTables, rebuilt: AnswerTables) -> None:
    """Make the live tables equal to the rebuilt ones, touching only the rows that differ."""
    for name, table in live.tables.items():
        other = rebuilt.tables[name]
        wrong = _except(table, other).subquery()
        same_key = [table.c[key.name] == wrong.c[key.name] for key in table.primary_key]
        connection.execute(sa.delete(table).where(sa.exists().where(*same_key)))
        missing = _except(other, table)
        connection.execute(sa.insert(table).from_select([c.name for c in table.c], missing))


def replace(connection: sa.Connection, live: AnswerTables, rebuilt: AnswerTables) -> None:
    """Put the rebuilt tables in place of the live ones, whatever shape those had."""
    live.make(connection)
    for name, table in live.tables.items():
        columns = [column.name for column in table.c]
        source = rebuilt.tables[name]
        rows = sa.select(*(source.c[column] for column in columns))
        connection.execute(sa.insert(table).from_select(columns, rows))
    rebuilt.drop(connection)


def _beside(table: sa.Table) -> sa.Table:
    """Return the table's twin on the side, without its indexes: it is filled once and read once."""
    columns = [sa.Column(c.name, c.type, primary_key=c.primary_key, nullable=c.nullable)
               for c in table.c]
    return sa.Table(table.name + SIDE, sa.MetaData(), *columns)


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    names = [column.name for column in table.c]
    if connection.dialect.name != "postgresql":
        connection.execute(sa.insert(table), rows)
        return
    copy = f"COPY {table.name} ({', '.join(names)}) FROM STDIN"
    cursor: Any = connection.connection.cursor()
    with cursor.copy(copy) as stream:
        for row in rows:
            stream.write_row([row[name] for name in names])


def _except(these: sa.Table, those: sa.Table) -> sa.CompoundSelect[Any]:
    columns = [column.name for column in these.c]
    return sa.except_(
        sa.select(*(these.c[name] for name in columns)),
        sa.select(*(those.c[name] for name in columns)),
    )


def _differences(
    connection: sa.Connection, name: str, live: sa.Table, rebuilt: sa.Table
) -> Iterator[Drift]:
    """Yield the rows that only one of the two tables has, a changed row once."""
    keys = [str(column.name) for column in live.primary_key]
    held = {
        tuple(row[key] for key in keys): dict(row)
        for row in connection.execute(_except(live, rebuilt)).mappings()
    }
    for row in connection.execute(_except(rebuilt, live)).mappings():
        key = tuple(row[name] for name in keys)
        yield Drift(name, dict(zip(keys, key, strict=True)), held.pop(key, None), dict(row))
    for key, held_row in held.items():
        yield Drift(name, dict(zip(keys, key, strict=True)), held_row, None)
