"""How many events do coded data sets have, per month, pair of actors and code root?

Takes the question's parameters; hands on an Answer with bounds. Reads answer tables only, never an
event.
"""

from typing import Any

import sqlalchemy as sa

from ledger.answers.answer import (
    Answer,
    AsOf,
    behind,
    first_day,
    given,
    last_day,
    position_at,
    stream_name,
)
from ledger.errors import BadValue
from ledger.folding import no_collections
from ledger.kinds.common import STAGES
from ledger.projections.coded_events import CODED_EVENTS
from ledger.projections.coded_events import coded_events as table
from ledger.projections.projection import standing_at

PLACE = ("dataset", "month", "source", "target", "code")

COUNTING = (
    "developments, not reports: rows of one data set on one development count once; "
    "one that may lie in several months counts as at least 0 and at most 1 in each; "
    "one between several actors counts under each pair"
)
ASSUMPTIONS = (
    "the root of a code is its first two digits; a code of letters is its own root",
    "developments are counted one by one, also where they are merged",
)


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
    the high bound. `development` (its stream, or the short name) counts that one alone.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    if stage not in STAGES:
        raise BadValue(stage, "one of " + ", ".join(STAGES))
    behind(connection, CODED_EVENTS)
    end = min(filter(None, (last_day(until), last_day(valid_at))), default=None)
    scope = given(
        since=first_day(since),
        until=end,
        stage=stage,
        development=stream_name(connection, development),
        as_of=position_at(connection, as_of),
    )
    query = _counted(scope.get("since"), end).where(
        standing_at(table, scope.get("as_of")), table.c.stage == stage
    )
    if "development" in scope:
        query = query.where(table.c.stream == scope["development"])
    return Answer(
        CODED_EVENTS.question,
        (*PLACE, "low", "high", "developments", "reports"),
        [_row(row) for row in connection.execute(query).mappings()],
        scope,
        COUNTING,
        ASSUMPTIONS,
    )


def _counted(since: str | None, until: str | None) -> sa.Select[Any]:
    """Return the sums per place, of what may lie between the days, both included."""
    c = table.c
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


def _row(row: Any) -> dict[str, Any]:
    numbers = ("low", "high", "developments", "reports")
    return {**{name: row[name] for name in PLACE}, **{name: int(row[name]) for name in numbers}}
