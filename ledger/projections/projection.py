"""What a projection is, and the fold that every projection shares.

Takes the events of one stream in order; hands on rows of an answer table, each with the positions
between which it was what the ledger said. Pure: no clock, no connection, no other stream.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger import developments
from ledger.developments import Development
from ledger.errors import LedgerError
from ledger.events import RecordedEvent

metadata = sa.MetaData()
"""The answer tables of every projection. The rebuild creates them; no migration does."""

Values = Mapping[str, Any]
Key = tuple[str, ...]
Said = Mapping[tuple[str, Key], Values]
"""What one stream says at one position: (table name, key) to the other columns' values."""


@dataclass(frozen=True)
class Projection:
    """One question, the tables that hold its answer, and the fold that fills them.

    A change of `rows` or of the tables asks for a new `version`, which is rebuilt from zero.
    """

    name: str
    version: int
    question: str
    category: str
    """The streams that it reads: all whose name begins with `category/`."""
    tables: tuple[sa.Table, ...]
    rows: Callable[[Development], Said]
    """What the tables hold for one development; pure."""


def answer_table(
    name: str, key: str, comment: str, *columns: sa.Column[Any] | sa.Index
) -> sa.Table:
    """Return a bitemporal answer table: its rows carry the positions between which they stood.

    `position_from` is the event that made the row true, `position_until` the one that ended it
    (empty while it stands), so `as_of` p is: position_from <= p < position_until.
    """
    return sa.Table(
        name,
        metadata,
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column(key, sa.Text, primary_key=True),
        sa.Column("position_from", sa.BigInteger, primary_key=True),
        sa.Column("position_until", sa.BigInteger),
        *columns,
        comment=comment,
    )


def rows_over_time(
    projection: Projection, stream: str, events: Iterable[RecordedEvent]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (table name, row) for everything that the stream ever said.

    Folds once; each event closes the rows that it changed and opens new ones.
    """
    standing: dict[tuple[str, Key], tuple[int, Values]] = {}
    development = Development(stream)
    for event in events:
        try:
            development = developments.evolve(development, event)
            said = projection.rows(development)
        except Exception as cause:  # whatever the fold's bug is: name the event and stop there
            raise CannotApply(projection.name, event.position, cause) from cause
        for place, (since, values) in list(standing.items()):
            if said.get(place) != values:
                yield _row(stream, place, since, event.position, values)
                del standing[place]
        for place, values in said.items():
            standing.setdefault(place, (event.position, values))
    for place, (since, values) in standing.items():
        yield _row(stream, place, since, None, values)


class CannotApply(LedgerError):
    """A projection cannot apply an event: it stops there, the others go on."""

    def __init__(self, projection: str, position: int, cause: Exception) -> None:
        self.projection, self.position = projection, position
        self.cause = f"{type(cause).__name__}: {cause}"
        super().__init__(f"{projection} cannot apply position {position}: {self.cause}")


def standing_at(table: sa.FromClause, as_of: int | None) -> sa.ColumnElement[bool]:
    """Return the condition that a row stood at a position (None: that it stands now)."""
    if as_of is None:
        return table.c.position_until.is_(None)
    began: sa.ColumnElement[bool] = table.c.position_from <= as_of
    return began & (table.c.position_until.is_(None) | (table.c.position_until > as_of))


def _row(
    stream: str, place: tuple[str, Key], since: int, until: int | None, values: Values
) -> tuple[str, dict[str, Any]]:
    table, key = place
    named = dict(zip(_KEYS[table], key, strict=True))
    return table, {
        "stream": stream, **named, "position_from": since, "position_until": until, **values
    }


class _KeyColumns(dict[str, tuple[str, ...]]):
    """The key columns of each answer table beside stream and position_from, looked up once."""

    def __missing__(self, table: str) -> tuple[str, ...]:
        names = tuple(
            column.name
            for column in metadata.tables[table].primary_key
            if column.name not in ("stream", "position_from")
        )
        self[table] = names
        return names


_KEYS = _KeyColumns()
