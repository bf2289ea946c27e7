"""What do sources claim as totals, beside what the ledger derives from the releases themselves?

Takes the question's parameters; hands on an Answer: a row for each live tally with both bounds and
a verdict. Reads answer tables only, never an event.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from ledger.answers.answer import (
    Answer,
    AsOf,
    Row,
    given,
    last_day,
    position_at,
    reached,
    state_code,
)
from ledger.answers.releases import COUNTING as RULES
from ledger.answers.releases import COUNTS, REVERSALS, first_keys, rule_of, unusual
from ledger.answers.windows import CountedWindows, Windows
from ledger.folding import no_collections
from ledger.projections.merges import MERGES, PERSONS
from ledger.projections.projection import standing_at
from ledger.projections.release_list import Rule, listed, members_of
from ledger.projections.release_sums import spans
from ledger.projections.release_totals import Scope
from ledger.projections.releases import RELEASES
from ledger.projections.tallies import TALLIES
from ledger.projections.tallies import tallies as table

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
    "a tally since a month or year begins with its first day; one for a month may be for any day "
    "of it",
    "only totals of people released since a stated day, of no stated category, are comparable",
    "developments that nobody merged are different ones",
)


@no_collections()
def tallies(
    connection: sa.Connection,
    *,
    state: str | None = None,
    count: str = COUNTS[0],
    reversals: str = REVERSALS[0],
    as_of: AsOf = None,
    valid_at: str | None = None,
) -> Answer:
    """Return each stated total with what the ledger derives, and whether they can be the same.

    `count` and `reversals` say how the ledger counts, as they do for `releases`; net is net of what
    was undone by the last day of the tally. With `valid_at`, only tallies that surely are for a day
    up to then. `developments` in a row names the streams that the derived total adds up; they are
    looked up when it is read, since a busy state's tallies name most of its releases again and
    again. Raises BadValue, and NotFound before the first rebuild of tallies or releases. Costs one
    roll-up of releases for each state; by another than the usual rule, some microseconds for each
    release and each of its tallies.
    """
    rule = rule_of(count, reversals)
    scope = given(
        state=state_code(state), **unusual(count, reversals),
        as_of=position_at(connection, as_of), valid_at=last_day(valid_at),
    )
    behind = (TALLIES, RELEASES, MERGES, *([PERSONS] if rule.asks_who else []))
    at = reached(connection, behind, scope.get("as_of"))
    rows = connection.execute(_standing(scope, at)).all()
    states = {state for _, state, *_, is_comparable in rows if is_comparable}
    releases = {state: _windows(connection, Scope(state, as_of=at), rule) for state in states}
    return Answer(
        TALLIES.question,
        COLUMNS,
        [_compared(row, releases) for row in rows],
        scope,
        "; ".join((COUNTING, RULES[count], RULES[reversals])),
        ASSUMPTIONS,
    )


def _windows(connection: sa.Connection, scope: Scope, rule: Rule) -> Windows | CountedWindows:
    if not any(rule):
        return Windows(spans(connection, scope))
    found = listed(connection, scope, rule, first_keys(connection, scope.as_of))
    return CountedWindows(found, members_of(connection, scope, found), rule)


def _standing(scope: Row, as_of: int | None) -> sa.Select[Any]:
    c = table.c
    columns = (
        c.report, c.state, c.publisher, c.since, c.valid_from, c.valid_until, c.low, c.high
    )
    query = sa.select(*columns, _IS_COMPARABLE).where(standing_at(table, as_of))
    if "state" in scope:
        query = query.where(c.state == scope["state"])
    if "valid_at" in scope:
        query = query.where(c.valid_until <= scope["valid_at"])
    return query.order_by(sa.cast(c.report, sa.BigInteger))


_IS_COMPARABLE = sa.case(
    (
        (table.c.counted == "released")
        & (table.c.measure == "cumulative")
        & (table.c.category == "unstated")
        & table.c.since.is_not(None)
        & (table.c.since <= table.c.valid_until),
        1,
    ),
    else_=0,
)


def _compared(tally: Sequence[Any], releases: Mapping[str, Windows | CountedWindows]) -> Row:
    report, state, publisher, since, first, until, low, high, is_comparable = tally
    least = most = None
    streams: Sequence[str] = []
    said = NOT_COMPARABLE
    if is_comparable:
        theirs = releases[state]
        # One for a month may be for its first day as well as for its last.
        derived = least, most = theirs.bounds_by(since, first, until)
        streams = theirs.streams(since, until)
        said = verdict((low, high), derived)
    return {
        "position": int(report),
        "state": state,
        "publisher": publisher,
        "since": since,
        "until": until,
        "claimed_low": low,
        "claimed_high": high,
        "derived_low": least,
        "derived_high": most,
        "verdict": said,
        "developments": streams,
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
