"""What releases add up to: by citizenship, state or day, and for each span of days.

Takes a Scope; hands on sums. The many developments that are merged with no other are added up in
SQL by themselves, and so are the few groups of merged ones; what is said twice, by both halves, is
put together here. Each form of question is one statement, made once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from ledger.projections.release_totals import ReleaseTotals, Scope, totals_of

TOTAL, ROWS, DISPUTED = "total", "rows", "disputed"
LINE = "\n"


class Sum(NamedTuple):
    """What some releases add up to."""

    key: str | None
    until: str | None
    low: int
    high: int | None
    """None: one of them has no upper bound."""
    disputed: int
    developments: int
    other_high: int
    """Under any one citizenship that is not listed, of those that are bounded there."""
    other_unbounded: int
    """How many are not."""


NOTHING = Sum(None, None, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What the releases in scope add up to."""

    total: Sum
    rows: list[Sum]
    """A sum for each `key`; by day, for each first day (`key`) and last day (`until`)."""
    disputes: list[str]
    """Each disputed development, and the positions that disagree, joined by blanks."""
    freed_again: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The persons with a key whom several releases freed, each with those; looked for where
    persons are counted."""


class Span(NamedTuple):
    """What the releases add up to that lie between the same two days, as far as reports say."""

    first: str | None
    """The earliest day; None: not stated."""
    last: str | None
    low: int
    high: int | None
    streams: str
    """Joined by blanks."""


def rolled_up(connection: sa.Connection, by: str, scope: Scope) -> RolledUp:
    """Return the total of the releases in scope, their sums by citizenship, state or day, and the
    disputes among them."""
    totals, given = totals_of(scope)
    parts: dict[str, list[Any]] = {TOTAL: [], ROWS: [], DISPUTED: []}
    for part, *row in connection.execute(_all_in_one(by, totals), given).all():
        parts[part].append(row)
    rows = _by_key(map(Sum._make, parts[ROWS]))
    total = _added([Sum._make(row) for row in parts[TOTAL]] if by == "citizenship" else rows)
    lines = [line for lines, *_ in parts[DISPUTED] if lines for line in lines.split(LINE)]
    return RolledUp(total, rows, lines)


def spans(connection: sa.Connection, scope: Scope) -> list[Span]:
    """Return the sums for each first and last day; a pair of days may come twice."""
    totals, given = totals_of(scope)
    return [*map(Span._make, connection.execute(_spans(totals), given).all())]


@lru_cache(maxsize=64)
def _all_in_one(by: str, totals: ReleaseTotals) -> sa.CompoundSelect[Any]:
    halves = totals.halves_of_cells if by == "citizenship" else totals.halves
    selects = [_summed(ROWS, half, _KEYS[by]) for half in halves]
    if by == "citizenship":  # elsewhere the rows add up to it
        selects += [_summed(TOTAL, half, ()) for half in totals.halves]
    return sa.union_all(*selects, *map(_lines, totals.disputes))


_KEYS = {
    "citizenship": ("citizenship",), "state": ("released_by",), "day": ("valid_from", "valid_until")
}


def _summed(part: str, half: sa.Subquery, keys: Sequence[str]) -> sa.Select[Any]:
    """Return the part's name, the columns of a Sum, and no row where there is nothing to add up."""
    c = half.c
    of = [c[name] for name in keys]
    columns = [
        sa.func.sum(sa.case((c.within, c.low), else_=0)),
        _total(c.high),
        sa.func.max(sa.case((c.disputed, 1), else_=0)),
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(c.other_high), 0),
        sa.func.count() - sa.func.count(c.other_high),
    ]
    key, until, *_ = *of, sa.null(), sa.null()
    query = sa.select(_named(part), key, until, *columns)
    return query.group_by(*of).having(sa.func.count() > 0)


def _lines(disputed: sa.Subquery) -> sa.Select[Any]:
    """Return one row for all: a busy state has thousands, and a row costs more than a line."""
    line = disputed.c.stream + " " + disputed.c.positions
    nothing = [sa.null()] * (len(Sum._fields) - 1)
    columns: Sequence[sa.ColumnElement[Any]] = (sa.func.aggregate_strings(line, LINE), *nothing)
    return sa.select(_named(DISPUTED), *columns)


_SPAN = ("valid_from", "valid_until", "low", "high", "streams")


@lru_cache(maxsize=64)
def _spans(totals: ReleaseTotals) -> sa.CompoundSelect[Any]:
    lone, several = totals.halves
    days = lone.c.valid_from, lone.c.valid_until
    streams = sa.func.aggregate_strings(lone.c.grp, " ")
    alone = sa.select(*days, sa.func.sum(lone.c.low), _total(lone.c.high), streams).group_by(*days)
    merged = sa.select(*(several.c[name] for name in _SPAN))
    return sa.union_all(alone, merged)


def _by_key(rows: Iterable[Sum]) -> list[Sum]:
    """Return one sum for each key, in no order."""
    found: dict[tuple[str | None, str | None], Sum] = {}
    for row in rows:
        key = row[:2]
        found[key] = _added([found[key], row]) if key in found else row
    return list(found.values())


def _added(rows: Sequence[Sum]) -> Sum:
    """Return what the sums add up to, with the key of the first."""
    if not rows:
        return NOTHING
    _, _, lows, highs, disputed, developments, other_highs, unbounded = zip(*rows, strict=True)
    high = None if None in highs else sum(highs)
    return Sum(rows[0].key, rows[0].until, sum(lows), high, max(disputed), sum(developments),
               sum(other_highs), sum(unbounded))


def _named(part: str) -> sa.ColumnClause[str]:
    return sa.literal_column(f"'{part}'")


def _total(high: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.case((sa.func.count(high) == sa.func.count(), sa.func.sum(high)))
