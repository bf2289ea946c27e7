"""Answer tables in the database: made, filled, compared, put in place.

Takes a connection and rows; hands on counts and differences. A projection's tables exist twice
while it is built anew: the live ones, which answers read, and those on the side (`…__new`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from ledger.errors import CouldNot
from ledger.projections.projection import Projection, Row, Rows, columns_of, keys_of

SIDE = "__new"
TRIES, TRY_SECONDS = 600, 1
"""How often, and how long each time, a rebuild on PostgreSQL waits for those who read the tables
that it replaces. Who wants to read meanwhile waits for one of these times at most."""
LOCK_NOT_AVAILABLE = "55P03"
EXAMPLES = 20
"""Differences that are named; all are counted and mended."""


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

    def have_columns(self, connection: sa.Connection) -> bool:
        """Return whether each has all its columns."""
        inspector = sa.inspect(connection)
        return all(
            {*columns_of(table)} <= {column["name"] for column in inspector.get_columns(name)}
            for name, table in self.tables.items()
        )

    def have_keys(self, connection: sa.Connection) -> bool:
        """Return whether each has its primary key and its indexes."""
        inspector = sa.inspect(connection)
        for name, table in self.tables.items():
            key = inspector.get_pk_constraint(name)["constrained_columns"]
            indexes = {index["name"] for index in inspector.get_indexes(name)}
            if key != table.primary_key.c.keys() or {i.name for i in table.indexes} - indexes:
                return False
        return True

    def make(self, connection: sa.Connection) -> None:
        """Make them empty, in place of what is there by these names."""
        self.drop(connection)
        for table in self.tables.values():
            table.create(connection)

    def drop(self, connection: sa.Connection) -> None:
        """Remove those that are there."""
        for table in self.tables.values():
            table.drop(connection, checkfirst=True)

    def write(self, connection: sa.Connection, rows: Rows) -> int:
        """Insert the rows, whose tables may be others' too; return how many there were."""
        written = 0
        for name, table in self.tables.items():
            if of_table := rows[name]:
                _insert(connection, table, of_table)
                written += len(of_table)
        return written

    def read(self, connection: sa.Connection, after: str, until: str | None) -> Rows:
        """Return the rows of every stream whose name lies in (after, until], by table.

        In order of their key. Those before every name, or without one, are among the first.
        """
        found: Rows = {}
        for name, table in self.tables.items():
            query = _rows_between(table, bool(after), until is not None)
            with connection.execute(query, {"after": after, "until": until}) as result:
                assert result.cursor is not None
                rows = [*result.cursor.fetchall()]  # the driver's tuples: there are millions
            found[name] = _with_flags(table, rows) if connection.dialect.name == "sqlite" else rows
        return found

    def forget(self, connection: sa.Connection, streams: Sequence[str]) -> None:
        """Delete all rows of these streams."""
        for table in self.tables.values():
            for start in range(0, len(streams), 500):
                some = streams[start : start + 500]
                connection.execute(sa.delete(table).where(table.c.stream.in_(some)))


def sort(projection: Projection, rows: Rows) -> None:
    """Put the rows of a projection in order of their key, in which a fold mostly gives them."""
    for table in projection.tables:
        rows[table.name].sort(key=_key_of(table))


def differences(projection: Projection, live: Rows, rebuilt: Rows) -> Iterator[Drift]:
    """Yield each row that only one of the two has, or has more often; a changed row once.

    Both come in order of their key: then equal ones need no further look.
    """
    for table in projection.tables:
        held, told = live[table.name], rebuilt[table.name]
        if held != told:
            there, wanted = Counter(held), Counter(told)
            yield from _differences(table, there - wanted, wanted - there)


def hold(connection: sa.Connection, projections: Sequence[Projection]) -> bool:
    """Keep the live tables in place until the transaction ends; return whether it sees their rows.

    PostgreSQL looks up a name as of now, and rows as of when the transaction began to read: tables
    that were put in place since then would seem to be empty. On SQLite both are of one state.
    """
    if connection.dialect.name != "postgresql":
        return True
    names = [projection.tables[0].name for projection in projections]  # put in place together
    held = " AND ".join(_HELD.format(table=name) for name in names)
    return bool(connection.exec_driver_sql(f"SELECT {held}").scalar())


# Whoever names a table locks it; its row in the catalog is read like any other row.
_HELD = (
    "EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('{table}') AND relname = '{table}'"
    " AND NOT EXISTS (SELECT FROM {table} WHERE false))"
)


def put_in_place(connection: sa.Connection, live: AnswerTables, side: AnswerTables) -> None:
    """Make the tables on the side the live ones, whatever shape those had, with their indexes.

    Whoever reads on PostgreSQL waits for as long as the indexes take; on SQLite nobody does. Raises
    CouldNot where somebody there goes on reading the old ones.
    """
    if connection.dialect.name == "postgresql":
        _take_from_readers(connection, live)
    live.drop(connection)
    for name, table in live.tables.items():
        beside = side.tables[name].name
        connection.exec_driver_sql(f"ALTER TABLE {beside} RENAME TO {name}")
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"ALTER INDEX {beside}_pkey RENAME TO {name}_pkey")
        for index in table.indexes:
            index.create(connection)


def _take_from_readers(connection: sa.Connection, live: AnswerTables) -> None:
    """Lock the tables, time and again: whoever came later would wait behind one long wait."""
    there = [name for name in live.tables if sa.inspect(connection).has_table(name)]
    if not there:
        return
    for _ in range(TRIES):
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{TRY_SECONDS}s'")
                connection.exec_driver_sql(f"LOCK TABLE {', '.join(there)}")
                connection.exec_driver_sql("SET LOCAL lock_timeout = DEFAULT")
            return
        except exc.OperationalError as failure:
            if getattr(failure.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
    readers = ", ".join(connection.execute(_READERS, {"names": there}).scalars())
    why = f"for {TRIES * TRY_SECONDS} s they were read, now by {readers or 'nobody'}"
    raise CouldNot(f"put the tables of {live.projection.name} in place", why)


_READERS = sa.text(
    "SELECT DISTINCT concat_ws(' ', 'backend', a.pid, a.usename, a.application_name, a.state)"
    " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE l.pid <> pg_backend_pid() AND l.granted"
    " AND l.relation IN (SELECT to_regclass(name) FROM unnest(CAST(:names AS text[])) AS name)"
)


def _beside(table: sa.Table) -> sa.Table:
    """Return the table's twin on the side, without its indexes: they are made when it is full."""
    columns = [
        sa.Column(c.name, c.type, primary_key=c.primary_key, nullable=c.nullable, comment=c.comment)
        for c in table.c
    ]
    name, comment = table.name + SIDE, table.comment
    return sa.Table(name, sa.MetaData(), *columns, comment=comment, sqlite_with_rowid=False)


def _insert(connection: sa.Connection, table: sa.Table, rows: list[Row]) -> None:
    names = ", ".join(columns_of(table))
    if connection.dialect.name != "postgresql":
        marks = ", ".join("?" * len(rows[0]))
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)
        return
    cursor: Any = connection.connection.cursor()
    driver = connection.dialect.loaded_dbapi
    copy = f"COPY {table.name} ({names}) FROM STDIN"
    try:
        with cursor.copy(copy) as stream:
            for row in rows:
                stream.write_row(row)
    except driver.Error as failure:  # as SQLAlchemy does with its own statements
        raise exc.DBAPIError.instance(copy, None, failure, driver.Error) from failure


def _with_flags(table: sa.Table, rows: list[Row]) -> list[Row]:
    """Return rows of SQLite, which has no truth values of its own, with truth values."""
    for name in (column.name for column in table.c if isinstance(column.type, sa.Boolean)):
        at = columns_of(table).index(name)
        rows = [
            (*row[:at], row[at] == 1, *row[at + 1 :]) if row[at] in (0, 1) else row for row in rows
        ]
    return rows


@cache
def _rows_between(table: sa.Table, has_after: bool, has_until: bool) -> sa.Select[Any]:
    """Return the query for rows of streams, which takes longer to make than to be answered."""
    stream = table.c.stream
    first = stream > sa.bindparam("after") if has_after else sa.true()
    last = stream <= sa.bindparam("until") if has_until else sa.true()
    if has_until and not has_after:
        last |= stream.is_(None)
    query = sa.select(*(table.c[column] for column in columns_of(table))).where(first, last)
    return query.order_by(*table.primary_key)


@cache
def _key_of(table: sa.Table) -> Callable[[Row], Any]:
    """Return what takes the primary key out of a row."""
    names = columns_of(table)
    return itemgetter(*(names.index(column.name) for column in table.primary_key))


def _differences(
    table: sa.Table, held: Iterable[Row], told: Iterable[Row]
) -> Iterator[Drift]:
    keys = ("stream", "position_from", *keys_of(table))
    columns = columns_of(table)

    def keyed(rows: Iterable[Row]) -> dict[Row, dict[str, Any]]:
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        return {tuple(row[key] for key in keys): row for row in named}

    live, rebuilt = keyed(held), keyed(told)
    for key in sorted(live.keys() | rebuilt.keys(), key=_of_any_kind):
        yield Drift(table.name, dict(zip(keys, key, strict=True)), live.get(key), rebuilt.get(key))


def _of_any_kind(key: Row) -> list[tuple[str, Any]]:
    """Return a key that stands in order with others: somebody may have put anything there."""
    return [(type(value).__name__, value if value is not None else "") for value in key]
