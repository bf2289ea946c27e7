"""What an answer is, and what every question shares: as of when, valid at which day, whose.

Takes a question's parameters as people write them; hands on an Answer and plain SQL values.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import orjson
import sqlalchemy as sa

from ledger import tables
from ledger.answers.frames import arrow_table, pandas_frame
from ledger.errors import BadValue, CouldNot, NoStream, NotFound
from ledger.projections.answer_tables import hold
from ledger.projections.projection import Projection
from ledger.store.append import format_time
from ledger.store.checkpoints import read_filled
from ledger.store.read import read_head
from ledger.values.country import read_country
from ledger.values.day import read_day

Row = dict[str, Any]
AsOf = int | str | date | datetime | None
"""A position, a time (ISO, UTC) up to which events were recorded, or None: all of them."""

SAME_AS = {"development": "same_as", "to": "to_same_as", "person": "same_as"}
"""Columns that name something, each with the one for what else it is called: what is merged."""

_RECORDED_AT = sa.select(tables.events.c.recorded_at).where(
    tables.events.c.position == sa.bindparam("position")
)
_HAS_STREAM = sa.select(tables.events.c.position).where(
    tables.events.c.stream == sa.bindparam("stream")
).limit(1)
_NUMBER = re.compile(r"-?[0-9]{1,18}")
WANTED_AS_OF = "a position, or a time in UTC such as 2025-12-13 or 2025-12-13T18:00:00Z"


@dataclass(frozen=True)
class Answer:
    """What the ledger answers, and how it counted."""

    question: str
    columns: tuple[str, ...]
    rows: list[Row]
    scope: Row
    """The parameters of the question, as they were understood; those not given are left out."""
    counting: str
    assumptions: tuple[str, ...] = ()
    total: Row = field(default_factory=dict)
    """Empty where rows do not add up to anything."""
    disputes: list[Row] = field(default_factory=list)
    """Each disputed development with the positions of the reports that disagree."""
    further: Row = field(default_factory=dict)
    """What else belongs to this answer, by name."""
    behind: int | None = None
    """Events that were recorded and that the tables behind it have not taken in yet; None where
    nobody looked (`asking.ask` does)."""
    stalls: Sequence[str] = ()
    """Which of its projections stopped at an event that they cannot apply, where and why."""

    aside: tuple[str, ...] = ()
    """Columns that a table for people has no room for."""

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns of a table for people: a cell with a name has the other names, too."""
        left_out = {*SAME_AS.values(), *self.aside}
        return tuple(name for name in self.columns if name not in left_out)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def to_arrow(self) -> Any:
        """Return the rows as a pyarrow Table, with question, scope and counting as metadata.

        Whole numbers are int64, empty where there is no bound. Raises CouldNot without pyarrow.
        """
        return arrow_table(self.columns, self.rows, self._about())

    def to_pandas(self) -> Any:
        """Return the rows as a pandas DataFrame, with question, scope and counting in its `attrs`.

        Whole numbers are Int64, empty where there is no bound. Raises CouldNot without pandas.
        """
        return pandas_frame(self.columns, self.rows, self._about())

    def _about(self) -> dict[str, str]:
        scope = ", ".join(f"{name}: {value}" for name, value in self.scope.items())
        assumptions = "; ".join(self.assumptions)
        return {"question": self.question, "scope": scope, "counting": self.counting,
                "assumptions": assumptions}


class Replaced(CouldNot):
    """A rebuild put new tables in place, which this transaction on PostgreSQL cannot see yet."""

    def __init__(self, projections: str) -> None:
        why = "tables were replaced since the transaction began; ask again in a new one"
        super().__init__(f"answer from {projections}", why)


def taken_in(connection: sa.Connection, projections: Sequence[Projection]) -> list[int]:
    """Return the last position that the tables of each projection hold.

    Until the transaction ends, nobody replaces them. Raises NotFound where this version of a
    projection was never built, Replaced where a rebuild was faster.
    """
    known = read_filled(connection)
    for projection in projections:
        if (projection.name, projection.version) not in known:
            hint = f"`ledger projections rebuild {projection.name}` builds it"
            raise NotFound(f"the answer table of {projection.name}", hint)
    if not hold(connection, projections):
        raise Replaced(", ".join(projection.name for projection in projections))
    return [known[projection.name, projection.version] for projection in projections]


def reached(
    connection: sa.Connection, projections: Sequence[Projection], as_of: int | None
) -> int | None:
    """Return the position that an answer from several projections speaks of: one that all hold.

    None: the last one, where they all stand. Raises what `taken_in` does.
    """
    filled = taken_in(connection, projections)
    if as_of is None and len({*filled}) == 1:
        return None
    return min(filled if as_of is None else [as_of, *filled])


def position_at(connection: sa.Connection, as_of: AsOf) -> int | None:
    """Return the last position recorded by then; raises BadValue. Costs a few index look-ups.

    A day or month means its end. recorded_at never goes back, so the position is found by halving.
    """
    if as_of is None:
        return None
    if isinstance(as_of, str) and _NUMBER.fullmatch(as_of):
        as_of = int(as_of)
    if isinstance(as_of, int):
        return _position(connection, as_of)
    if not isinstance(as_of, str | datetime):
        if not isinstance(as_of, date):
            raise BadValue(as_of, WANTED_AS_OF)
        as_of = as_of.isoformat()
    moment = _end_of(as_of)
    low, high = 0, read_head(connection).size
    while low < high:
        middle = (low + high + 1) // 2
        if _recorded_at(connection, middle) <= moment:
            low = middle
        else:
            high = middle - 1
    return low


def is_to_come(as_of: str, now: datetime) -> bool:
    """Return whether it is a time that is not over yet, so that more may be recorded by then."""
    return not _NUMBER.fullmatch(as_of) and _end_of(as_of) > format_time(now)


def stream_name(connection: sa.Connection, development: str | None) -> str | None:
    """Return the stream of a development; its short name is enough.

    Raises NoStream where nothing was ever recorded about it: a slip of the pen is no zero.
    """
    if development is None:
        return None
    stream = f"development/{development.removeprefix('development/')}"
    if connection.scalar(_HAS_STREAM, {"stream": stream}) is None:
        raise NoStream(stream)
    return stream


def state_code(state: str | None) -> str | None:
    """Return the code of a country; what is no country is an organisation's name."""
    if state is None:
        return None
    try:
        return read_country(state).code
    except BadValue:
        return state


def first_day(day: str | None) -> str | None:
    """Return the first day that the text may mean, ISO; raises BadValue."""
    first = None if day is None else read_day(day).earliest
    return None if first is None else first.isoformat()


def last_day(day: str | None) -> str | None:
    """Return the last day that the text may mean, ISO; raises BadValue."""
    last = None if day is None else read_day(day).latest
    return None if last is None else last.isoformat()


def plain_rows(connection: sa.Connection, query: sa.Select[Any]) -> list[tuple[Any, ...]]:
    """Return the driver's own tuples: a busy state has thousands of rows, and these cost half."""
    with connection.execute(query) as result:
        assert result.cursor is not None
        return [*result.cursor.fetchall()]


def check_choice(value: str, choices: Sequence[str]) -> None:
    """Raise BadValue for what is none of the choices."""
    if value not in choices:
        raise BadValue(value, "one of " + ", ".join(choices))


def read_positions(texts: Sequence[str]) -> list[list[int]]:
    """Return the positions in each text, where they are joined by blanks.

    All texts at once as JSON, in a quarter of the time: a busy state's answer has thousands.
    """
    if not texts:
        return []
    found: list[list[int]] = orjson.loads(f"[[{'],['.join(texts).replace(' ', ',')}]]")
    return found


def given(**scope: Any) -> Row:
    """Return the parameters that were given."""
    return {name: value for name, value in scope.items() if value is not None}


def _position(connection: sa.Connection, position: int) -> int:
    """Return a position of this ledger; 0 is before the first event. Raises BadValue."""
    size = read_head(connection).size
    if isinstance(position, bool) or not 0 <= position <= size:
        raise BadValue(position, f"a position from 0 to {size:,}, or a time")
    return position


def _end_of(as_of: str | datetime) -> str:
    """Return the last moment that is meant, as entries write moments."""
    try:
        if isinstance(as_of, datetime):
            as_of = as_of.isoformat(timespec="microseconds")
        if "T" not in as_of:
            return f"{last_day(as_of) or '9999-12-31'}T23:59:59.999999Z"
        moment = datetime.fromisoformat(as_of)
    except (BadValue, ValueError):
        raise BadValue(as_of, WANTED_AS_OF) from None
    if moment.tzinfo is None:
        raise BadValue(as_of, WANTED_AS_OF)
    whole_second = moment.microsecond == 0 and "." not in as_of
    try:
        return format_time(moment.replace(microsecond=999_999) if whole_second else moment)
    except OverflowError:  # in UTC it is before the first year, or after the last
        raise BadValue(as_of, WANTED_AS_OF) from None


def _recorded_at(connection: sa.Connection, position: int) -> str:
    return str(connection.scalar(_RECORDED_AT, {"position": position}))
