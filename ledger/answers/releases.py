"""How many people were freed? By citizenship, state or day, with bounds.

Takes the question's parameters; hands on an Answer: rows with bounds, the total, the counting rule,
the assumptions, and what is disputed. Reads answer tables only, never an event.
"""

from operator import attrgetter

import sqlalchemy as sa

from ledger.answers.answer import (
    Answer,
    AsOf,
    Row,
    first_day,
    given,
    last_day,
    position_at,
    reached,
    read_positions,
    state_code,
    stream_name,
)
from ledger.answers.windows import NEVER
from ledger.errors import BadValue
from ledger.folding import no_collections
from ledger.kinds.common import STAGES
from ledger.projections.merges import MERGES
from ledger.projections.release_sums import RolledUp, Sum, rolled_up
from ledger.projections.release_totals import Scope
from ledger.projections.releases import RELEASES

BY = ("citizenship", "state", "day")

COUNTING = (
    "releases, not persons: whoever is freed twice counts twice; "
    "gross: a release that was undone later still counts; "
    "a person with two citizenships counts under each and once in the total; "
    "where reports differ on who freed them, the one that the first live report names counts; "
    "merged developments count once, for each of their states that is asked for"
)
ASSUMPTIONS = (
    "a person has one citizenship unless a report names more for that person",
    "developments that nobody merged are different ones",
)


@no_collections()
def releases(
    connection: sa.Connection,
    *,
    by: str = "citizenship",
    state: str | None = None,
    since: str | None = None,
    until: str | None = None,
    stage: str = "done",
    development: str | None = None,
    as_of: AsOf = None,
    valid_at: str | None = None,
) -> Answer:
    """Return how many people were freed, at least and at most, by citizenship, state or day.

    `state` is a country's name or code, or an organisation; `since` and `until` are days (EDTF),
    both included; `valid_at` counts up to that day. A release whose days are only partly inside
    counts for the high bound alone. `development` (its stream, or the short name) counts that one
    alone, with what it is merged with. By day the numbers are cumulative.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    if by not in BY:
        raise BadValue(by, "one of " + ", ".join(BY))
    if stage not in STAGES:
        raise BadValue(stage, "one of " + ", ".join(STAGES))
    asked = position_at(connection, as_of)
    end = min(filter(None, (last_day(until), last_day(valid_at))), default=None)
    scope = Scope(
        state_code(state),
        first_day(since),
        end,
        stage,
        reached(connection, (RELEASES, MERGES), asked),
        stream_name(connection, development),
    )
    found = rolled_up(connection, by, scope)
    disputed = [line.partition(" ") for line in sorted(found.disputes)]
    disputes = [
        {"development": stream, "positions": positions}
        for (stream, *_), positions
        in zip(disputed, read_positions([said for *_, said in disputed]), strict=True)
    ]
    rest = {"any_other_citizenship": {"low": 0, "high": _other_high(found.total)}}
    return Answer(
        RELEASES.question,
        (by, "low", "high", "disputed", "developments"),
        _ROWS[by](found, scope),
        given(
            state=scope.state, since=scope.since, until=scope.until, stage=stage,
            development=scope.development, as_of=asked,
        ),
        COUNTING,
        ASSUMPTIONS,
        _bounded(found.total),
        disputes,
        rest if by == "citizenship" else {},
    )


def _by_citizenship(found: RolledUp, scope: Scope) -> list[Row]:
    """Return a row for each citizenship that is listed somewhere.

    A release that does not list it adds what it leaves open for any one citizenship.
    """
    total = found.total
    rows = []
    for row in sorted(found.rows, key=attrgetter("key")):
        high = row.high
        if high is not None:
            unbounded = total.other_unbounded > row.other_unbounded
            high = None if unbounded else int(high + total.other_high - row.other_high)
        if high != 0 or row.disputed:
            rows.append({"citizenship": row.key, **_bounded(row), "high": high})
    return rows


def _by_state(found: RolledUp, scope: Scope) -> list[Row]:
    """Return a row for each state, or the one for the state asked about: all that counts is its,
    also what is merged with another's."""
    rows = sorted(found.rows, key=attrgetter("key"))
    if rows and scope.state is not None:
        rows = [found.total._replace(key=scope.state)]
    return [{"state": row.key, **_bounded(row)} for row in rows]


def _by_day(found: RolledUp, scope: Scope) -> list[Row]:
    """Return the running total: a release counts as at most from its earliest day on, as at least
    from its latest; one that may have begun earlier counts from the first day asked for, and one
    that may end later is not surely there by the last."""
    since = scope.since or NEVER
    begins: dict[str, list[Sum]] = {}
    ends: dict[str, int] = {}
    for span in found.rows:
        begins.setdefault(max(span.key or NEVER, since), []).append(span)
        if span.until is not None and (scope.until is None or span.until <= scope.until):
            ends[span.until] = ends.get(span.until, 0) + int(span.low)
    rows: list[Row] = []
    low, developments, disputed = 0, 0, False
    high: int | None = 0
    for day in sorted(begins.keys() | ends.keys()):
        low += ends.get(day, 0)
        for span in begins.get(day, ()):
            high = None if high is None or span.high is None else high + int(span.high)
            disputed = disputed or bool(span.disputed)
            developments += span.developments
        if day != NEVER:
            rows.append({"day": day, "low": low, "high": high, "disputed": disputed,
                         "developments": developments})
    return rows


_ROWS = {"citizenship": _by_citizenship, "state": _by_state, "day": _by_day}


def _bounded(row: Sum) -> Row:
    return {
        "low": int(row.low),
        "high": None if row.high is None else int(row.high),
        "disputed": bool(row.disputed),
        "developments": row.developments,
    }


def _other_high(total: Sum) -> int | None:
    return None if total.other_unbounded else int(total.other_high)
