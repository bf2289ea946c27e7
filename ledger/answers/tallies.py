"""What do sources claim as totals, beside what the ledger derives from the releases themselves?

Takes the question's parameters; hands on an Answer: a row for each live tally with both bounds and
a verdict. Reads answer tables only, never an event.
"""

from bisect import bisect_left
from typing import Any, NamedTuple

import sqlalchemy as sa

from ledger.answers.answer import (
    Answer,
    AsOf,
    Row,
    behind,
    given,
    last_day,
    position_at,
    state_code,
)
from ledger.answers.sanctions import EVER
from ledger.projections.projection import standing_at
from ledger.projections.release_totals import Scope, totals_of
from ledger.projections.releases import RELEASES
from ledger.projections.tallies import TALLIES
from ledger.projections.tallies import tallies as table
from ledger.store.read import read_head

COLUMNS = (
    "position", "state", "publisher", "since", "until",
    "claimed_low", "claimed_high", "derived_low", "derived_high", "verdict",
)
CONSISTENT, NOT_COMPARABLE = "consistent", "not comparable"
NOTHING: tuple[int | None, int | None, list[str]] = None, None, []

COUNTING = (
    "beside a source's own total stands what the releases done by that state add up to, from the "
    "first day of the tally to its last; consistent where both can be the same number, "
    "else short by (over by) at least as many as the ledger has too few (too many)"
)
ASSUMPTIONS = (
    "a tally since a month or year begins with its first day",
    "only totals of people released since a stated day, of no stated category, are comparable",
    "developments that nobody merged are different ones",
)


class Release(NamedTuple):
    """What merged developments add up to, and their streams."""

    first: str | None
    """The earliest day; None: not stated."""
    last: str | None
    low: int
    high: int | None
    streams: list[str]


def tallies(
    connection: sa.Connection,
    *,
    state: str | None = None,
    as_of: AsOf = None,
    valid_at: str | None = None,
) -> Answer:
    """Return each stated total with what the ledger derives, and whether they can be the same.

    With `valid_at`, only tallies that surely are for a day up to then. `developments` in a row
    names the streams that the derived total adds up. Raises BadValue, and NotFound before the first
    rebuild of tallies or releases. Costs one roll-up of releases for each state.
    """
    scope = given(
        state=state_code(state), as_of=position_at(connection, as_of), valid_at=last_day(valid_at)
    )
    reached = _reached(connection, scope.get("as_of"))
    rows = connection.execute(_standing(scope, reached)).all()
    states = {row.state for row in rows if _is_comparable(row)}
    releases = {state: _releases_of(connection, state, reached) for state in states}
    return Answer(
        TALLIES.question,
        COLUMNS,
        [_compared(row, releases) for row in rows],
        scope,
        COUNTING,
        ASSUMPTIONS,
    )


def _reached(connection: sa.Connection, as_of: int | None) -> int:
    """Return the last position that counts: one that both projections have folded.

    Otherwise a tally would be held against releases of another point of the record.
    """
    size = read_head(connection).size
    filled = [size - behind(connection, projection) for projection in (TALLIES, RELEASES)]
    return min(filled if as_of is None else [as_of, *filled])


def _standing(scope: Row, reached: int) -> sa.Select[Any]:
    c = table.c
    query = sa.select(table).where(standing_at(table, reached))
    if "state" in scope:
        query = query.where(c.state == scope["state"])
    if "valid_at" in scope:
        query = query.where(c.valid_until <= scope["valid_at"])
    return query.order_by(sa.cast(c.report, sa.BigInteger))


def _compared(tally: Any, releases: dict[str, list[Release]]) -> Row:
    low, high, developments = NOTHING
    if _is_comparable(tally):
        theirs = releases[tally.state]
        low, high, developments = _derived(theirs, tally.since, tally.valid_until)
    return {
        "position": int(tally.report),
        "state": tally.state,
        "publisher": tally.publisher,
        "since": tally.since,
        "until": tally.valid_until,
        "claimed_low": tally.low,
        "claimed_high": tally.high,
        "derived_low": low,
        "derived_high": high,
        "verdict": NOT_COMPARABLE if low is None else verdict((tally.low, tally.high), (low, high)),
        "developments": developments,
    }


def verdict(claimed: tuple[int, int | None], derived: tuple[int, int | None]) -> str:
    """Return how the derived bounds stand to the claimed ones; high None: no upper bound."""
    low, high = claimed
    if high is not None and high < low:
        low, high = high, low  # published so: read as everything between the two
    least, most = derived
    if most is not None and most < low:
        return f"short by {low - most}"
    if high is not None and least > high:
        return f"over by {least - high}"
    return CONSISTENT


def _is_comparable(tally: Any) -> bool:
    is_released = tally.counted == "released" and tally.measure == "cumulative"
    has_window = tally.since is not None and tally.valid_until is not None
    return is_released and has_window and bool(tally.category == "unstated")


def _releases_of(connection: sa.Connection, state: str, as_of: int) -> list[Release]:
    """Return every release of the state that is done, the first to end first."""
    totals, values = totals_of(Scope(state, as_of=as_of))
    group, member = totals.groups, totals.members
    streams: dict[str, list[str]] = {}
    for name, stream in connection.execute(sa.select(member.c.grp, member.c.stream), values):
        streams.setdefault(name, []).append(stream)
    found = [
        Release(row.valid_from, row.valid_until, row.low, row.high, streams[row.grp])
        for row in connection.execute(sa.select(group), values)
    ]
    return sorted(found, key=_end)


def _end(release: Release) -> str:
    return release.last or EVER


def _derived(
    releases: list[Release], since: str, until: str
) -> tuple[int, int | None, list[str]]:
    """Return the bounds of the releases in a tally's window, and their streams.

    One that only may lie in the window counts for the high bound alone.
    """
    after = bisect_left(releases, since, key=_end)
    near = [one for one in releases[after:] if one.first is None or one.first <= until]
    highs = [one.high for one in near]
    low = sum(
        one.low
        for one in near
        if one.first is not None and one.first >= since and _end(one) <= until
    )
    high = None if None in highs else sum(filter(None, highs))
    return low, high, sorted(stream for one in near for stream in one.streams)
