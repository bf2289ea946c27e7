"""What a projection is, and the fold that all projections share.

Takes the events of one stream in order; hands on rows of answer tables, each with the positions
between which it was what the ledger said. Pure: no clock, no connection, no other stream; what is
here can be pickled and run in any process.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from ledger import developments
from ledger.developments import (
    REPORT,
    STEP,
    TIES,
    TYPE,
    Development,
    Live,
    Report,
    changed_parts,
)
from ledger.errors import LedgerError
from ledger.events import RecordedEvent
from ledger.kinds.registry import KINDS
from ledger.tables import Name

metadata = sa.MetaData()
"""The answer tables of every projection. The rebuild creates them; no migration does."""

Values = Mapping[str, Any]
Key = tuple[str, ...]
Place = tuple[str, Key]
"""A table's name and a key in it."""
Said = Mapping[Place, Values]
"""What one stream says at one position: (table name, key) to the other columns' values."""
Standing = dict[Place, tuple[int, Values]]
"""What stands, and since which position."""
Row = tuple[Any, ...]
"""A row of an answer table, in the order of `columns_of`."""
Rows = dict[str, list[Row]]
"""Rows by table."""

_ALWAYS = ("stream", "position_from", "position_until")


@dataclass(frozen=True)
class Projection:
    """One question, the tables that hold its answer, and the fold that fills them.

    A change of the functions or of the tables asks for a new `version`, which is built from zero.
    """

    name: str
    version: int
    question: str
    category: str
    """The streams that it reads: all whose name begins with `category/`."""
    tables: tuple[sa.Table, ...]
    reports: frozenset[str] | None = None
    """The types of report that it is about; None: all."""
    of_report: Callable[[Report], Said] | None = None
    """What the tables hold for one live report by itself; pure."""
    of_step: Callable[[Live], Said] | None = None
    """What they hold for the live reports of one type and stage together; pure."""
    of_type: Callable[[Live], Said] | None = None
    """What they hold for the live reports of one type together, whatever their stage; pure."""
    of_ties: Callable[[Development], Said] | None = None
    """What they hold for a development's links and merges; pure."""

    def asked(self, what: str, type: str) -> Callable[[Any], Said] | None:
        """Return the function that says what the tables hold for such parts; None: nothing."""
        if what != TIES and self.reports is not None and type not in self.reports:
            return None
        every: dict[str, Callable[[Any], Said] | None] = {
            REPORT: self.of_report, STEP: self.of_step, TYPE: self.of_type, TIES: self.of_ties
        }
        return every[what]


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
        sa.Column("stream", Name, primary_key=True),
        sa.Column(key, Name, primary_key=True),
        sa.Column("position_from", sa.BigInteger, primary_key=True),
        sa.Column("position_until", sa.BigInteger),
        *columns,
        comment=comment,
        sqlite_with_rowid=False,  # a rebuild reads and writes them in order of their key
    )


def keys_of(table: sa.Table) -> tuple[str, ...]:
    """Return the key columns of an answer table beside stream and position_from."""
    return tuple(column.name for column in table.primary_key if column.name not in _ALWAYS)


def columns_of(table: sa.Table) -> tuple[str, ...]:
    """Return the columns in the order of a Row: where and when, the key, the other values."""
    keys = keys_of(table)
    values = (c.name for c in table.c if c.name not in _ALWAYS and c.name not in keys)
    return (*_ALWAYS, *keys, *values)


Asked = tuple[Projection, Callable[[Any], Said]]
"""A projection, and its function that says what its tables hold."""


class Fold:
    """The fold of projections that read one category: every stream once, for all of them.

    Collects rows and stalls. The rows of a projection that stalled are not whole.
    """

    def __init__(self, projections: Sequence[Projection]) -> None:
        self.rows: Rows = {table.name: [] for p in projections for table in p.tables}
        self.stalls: dict[str, CannotApply] = {}
        """By projection: the first event that it cannot apply."""
        self._projections = tuple(projections)
        self._asked = _asked(self._projections)
        self._values = {table.name: _getter(table) for p in projections for table in p.tables}

    def take(self, stream: str, events: Iterable[RecordedEvent]) -> None:
        """Add the rows of everything that the stream, whose events these are, ever said.

        Each event closes the rows that it changed and opens new ones.
        """
        told: dict[tuple[str, ...], Standing] = {}
        before = Development(stream)
        for event in events:
            position = event.position
            try:
                after = developments.evolve(before, event)
            except Exception as cause:
                self.stall(self._projections, position, cause)
                return
            for what, type, key, now in changed_parts(before, after):
                for projection, of_part in self._asked[what, type]:
                    try:
                        said = of_part(now) if now is not None else {}
                    except Exception as cause:  # whatever the fold's bug is: name the event
                        self.stall([projection], position, cause)
                        continue
                    part = projection.name, what, type, key
                    standing = told.get(part)
                    if standing:
                        self._end(stream, standing, said, position)
                        for place in said.keys() - standing.keys():
                            standing[place] = position, said[place]
                    elif said:
                        told[part] = {place: (position, said[place]) for place in said}
            before = after
        for standing in told.values():
            self._add(stream, standing, standing, None)

    def _end(self, stream: str, standing: Standing, said: Said, position: int) -> None:
        """Add the rows that no longer stand, and forget them."""
        ended = [place for place, (_, values) in standing.items() if said.get(place) != values]
        self._add(stream, ended, standing, position)
        for place in ended:
            del standing[place]

    def _add(
        self, stream: str, places: Iterable[Place], standing: Standing, until: int | None
    ) -> None:
        rows, values_of = self.rows, self._values
        for place in places:
            table, key = place
            since, values = standing[place]
            rows[table].append((stream, since, until, *key, *values_of[table](values)))

    def stall(self, projections: Iterable[Projection], position: int, cause: Exception) -> None:
        """Note that these stop at an event; the first one that any stops at counts."""
        for projection in projections:
            known = self.stalls.get(projection.name)
            if known is None or position < known.position:
                self.stalls[projection.name] = CannotApply(projection.name, position, cause)


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


@lru_cache
def _asked(projections: tuple[Projection, ...]) -> Mapping[tuple[str, str], Sequence[Asked]]:
    """Return whom to ask about what, and of which type; the same for all pieces of a log."""
    return {
        (what, type): [(p, of) for p in projections if (of := p.asked(what, type)) is not None]
        for what in (REPORT, STEP, TYPE, TIES)
        for type in ("", *KINDS)
    }


@lru_cache
def _getter(table: sa.Table) -> Callable[[Values], Row]:
    """Return what takes the values out of a mapping in the order of the columns."""
    names = columns_of(table)[len(_ALWAYS) + len(keys_of(table)) :]
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)
