"""What do sources claim as totals, beside what the ledger derives from the releases themselves?

Takes the question's parameters; hands on an Answer: a row for each live tally with both bounds and
a verdict. Reads answer tables only, never an event.
"""

from typing import Any

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
from ledger.projections.projection import standing_at
from ledger.projections.release_totals import ReleaseTotals, Scope, summed
from ledger.projections.releases import RELEASES
from ledger.projections.tallies import TALLIES
from ledger.projections.tallies import tallies as table
from ledger.store.read import read_head

COLUMNS = (
    "position", "state", "publisher", "since", "until",
    "claimed_low", "claimed_high", "derived_low", "derived_high", "verdict",
)
CONSISTENT, NOT_COMPARABLE = "consistent", "not comparable"

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
    rebuild of tallies or releases. Costs one roll-up of releases for each comparable tally.
    """
    scope = given(
        state=state_code(state), as_of=position_at(connection, as_of), valid_at=last_day(valid_at)
    )
    reached = _reached(connection, scope.get("as_of"))
    rows = connection.execute(_standing(scope, reached)).all()
    return Answer(
        TALLIES.question,
        COLUMNS,
        [_compared(connection, row, reached) for row in rows],
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


def _compared(connection: sa.Connection, tally: Any, as_of: int) -> Row:
    derived = _derived(connection, tally, as_of) if _is_comparable(tally) else None
    low, high, developments = derived or (None, None, [])
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


def _derived(
    connection: sa.Connection, tally: Any, as_of: int
) -> tuple[int, int | None, list[str]]:
    """Return the bounds of the releases in the tally's window, and their streams."""
    window = Scope(tally.state, tally.since, tally.valid_until, as_of=as_of)
    totals = ReleaseTotals(window)
    group, member = totals.groups, totals.members
    total = connection.execute(sa.select(*summed(group))).one()
    streams = (
        sa.select(member.c.stream).join(group, group.c.grp == member.c.grp)
        .order_by(member.c.stream)
    )
    if not total.developments:
        return 0, 0, []
    high = None if total.high is None else int(total.high)
    return int(total.low or 0), high, list(connection.scalars(streams))
