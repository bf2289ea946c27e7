"""How many events do coded data sets have, per month, pair of actors and code root?

Takes the question's parameters; hands on an Answer with bounds. Reads answer tables only, never an
event.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from ledger.answers.answer import (
    Answer,
    AsOf,
    Row,
    check_choice,
    first_day,
    given,
    last_day,
    position_at,
    reached,
    stream_name,
)
from ledger.answers.merged import Groups, alike, groups_of, whole
from ledger.bounds.days import Span, common
from ledger.folding import no_collections
from ledger.kinds.common import STAGES
from ledger.projections.coded_events import CODED_EVENTS, UNSTATED
from ledger.projections.coded_events import coded_events as table
from ledger.projections.merges import MERGES
from ledger.projections.projection import standing_at
from ledger.store.read import among

PLACE = ("dataset", "month", "source", "target", "code")
NUMBERS = ("low", "high", "developments", "reports")

COUNTING = (
    "developments, not reports: rows of one data set on one development count once; "
    "one that may lie in several months counts as at least 0 and at most 1 in each; "
    "one between several actors counts under each pair; "
    "merged developments count as one, at most where all of them have rows, "
    "and where they contradict each other as at least 0 and at most 1 where any has"
)
ASSUMPTIONS = (
    "the root of a code is its first two digits; a code of letters is its own root",
    "developments that nobody merged are different ones",
)


class Counted(NamedTuple):
    """What a development, or a group of them, counts as in one place."""

    place: tuple[str, ...]
    low: int
    high: int
    reports: int
    days: Span

    def between(self, days: Span) -> tuple[int, ...]:
        """Return the numbers that it adds between two days; nothing where it is not there."""
        (first, last), (since, until) = self.days, days
        outside = (since and last and last < since) or (until and first and first > until)
        if outside or not self.high:
            return (0,) * len(NUMBERS)
        begins = since is None or (first is not None and first >= since)
        ends = until is None or (last is not None and last <= until)
        return self.low if begins and ends else 0, self.high, 1, self.reports


@no_collections()
def coded_events(
    connection: sa.Connection,
    *,
    since: str | None = None,
    until: str | None = None,
    stage: str = "done",
    development: str | None = None,
    as_of: AsOf = None,
    valid_at: str | None = None,
) -> Answer:
    """Return how many coded events there are, at least and at most, by month, actors and code root.

    `since` and `until` are days (EDTF), both included; what only may lie between them counts for
    the high bound. `development` (its stream, or the short name) counts that one alone,
    with what it is merged with.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    check_choice(stage, STAGES)
    asked = position_at(connection, as_of)
    at = reached(connection, (CODED_EVENTS, MERGES), asked)
    end = min(filter(None, (last_day(until), last_day(valid_at))), default=None)
    scope = given(
        since=first_day(since),
        until=end,
        stage=stage,
        development=stream_name(connection, development),
        as_of=asked,
    )
    days = scope.get("since"), end
    stream = scope.get("development")
    groups = groups_of(connection, None if stream is None else [stream], at)
    stands = standing_at(table, at) & (table.c.stage == stage)
    query = _counted(days).where(stands)
    if stream is not None:
        query = query.where(table.c.stream.in_(whole(groups, stream)))
    rows = [_row(row) for row in connection.execute(query).mappings()]
    if groups:
        members = sa.select(table).where(stands, among(connection, table.c.stream, [*groups]))
        rows = _corrected(rows, connection.execute(members).all(), groups, days)
    return Answer(
        CODED_EVENTS.question, (*PLACE, *NUMBERS), rows, scope, COUNTING, ASSUMPTIONS
    )


def _counted(days: Span) -> sa.Select[Any]:
    """Return the sums per place, of what may lie between the days, each development by itself."""
    c, (since, until) = table.c, days
    place = [c[name] for name in PLACE]
    surely: sa.ColumnElement[bool] = sa.true()
    perhaps: list[sa.ColumnElement[bool]] = []
    if since is not None:
        surely = surely & sa.func.coalesce(c.valid_from >= since, sa.false())
        perhaps.append(sa.func.coalesce(c.valid_until >= since, sa.true()))
    if until is not None:
        surely = surely & sa.func.coalesce(c.valid_until <= until, sa.false())
        perhaps.append(sa.func.coalesce(c.valid_from <= until, sa.true()))
    return (
        sa.select(
            *place,
            sa.func.sum(sa.case((surely, c.low), else_=0)).label("low"),
            sa.func.sum(c.high).label("high"),
            sa.func.count().label("developments"),
            sa.func.sum(c.reports).label("reports"),
        )
        .where(*perhaps)
        .group_by(*place)
        .order_by(*place)
    )


def _corrected(rows: list[Row], members: Sequence[Any], groups: Groups, days: Span) -> list[Row]:
    """Return the rows with each group counted as one, and no more by each of its members."""
    counted = {tuple(row[name] for name in PLACE): [row[name] for name in NUMBERS] for row in rows}
    changes = [(-1, one) for one in map(_alone, members)]
    for same in alike(members, lambda row: (whole(groups, row.stream), row.dataset)).values():
        changes += [(1, one) for one in _united(same)]
    for sign, one in changes:
        numbers = counted.setdefault(one.place, [0] * len(NUMBERS))
        more = one.between(days)
        numbers[:] = [number + sign * each for number, each in zip(numbers, more, strict=True)]
    found = [dict(zip((*PLACE, *NUMBERS), (*place, *counted[place]), strict=True))
             for place in sorted(counted)]
    return [row for row in found if row["developments"]]


def _alone(row: Any) -> Counted:
    place = tuple(getattr(row, name) for name in PLACE)
    return Counted(place, row.low, row.high, row.reports, (row.valid_from, row.valid_until))


def _united(rows: Sequence[Any]) -> Iterator[Counted]:
    """Yield what the developments of one group, that a data set has, count as together.

    Where one has no row it counts as 0; one of no stated month says nothing beside those that state
    it. If in any place one is surely that another is not, only one of them may be right, in all
    places.
    """
    rows = [row for row in rows if row.month != UNSTATED] or rows
    of = len({row.stream for row in rows})
    places = alike(map(_alone, rows), lambda one: one.place)
    lows, highs = {}, {}
    for place, said in places.items():
        absent = [0] * (len(said) < of)
        lows[place] = [one.low for one in said] + absent
        highs[place] = [one.high for one in said] + absent
    clash = any(max(lows[place]) > min(highs[place]) for place in places)
    low, high = (min, max) if clash else (max, min)
    for place, said in places.items():
        reports, days = sum(one.reports for one in said), common([one.days for one in said])
        yield Counted(place, low(lows[place]), high(highs[place]), reports, days)


def _row(row: Any) -> Row:
    return {**{name: row[name] for name in PLACE}, **{name: int(row[name]) for name in NUMBERS}}
