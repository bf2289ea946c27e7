"""Who is detained, ordered free, free, or back in custody?

Takes the state that holds or frees them and a day; hands on an Answer with one row per person, by
key and never by name.
"""

from itertools import groupby
from operator import itemgetter
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
    stream_name,
)
from ledger.folding import no_collections
from ledger.projections.courses import EVER, agreed, both
from ledger.projections.people import PEOPLE
from ledger.projections.people import people as table
from ledger.projections.projection import standing_at

DETAINED, ORDERED, FREE, BACK = "detained", "ordered free", "free", "back in custody"

FOLLOWS = {
    "released ordered": ORDERED,
    "detained reversed": FREE,
    "released done": FREE,
    "released reversed": BACK,
}
"""What a step leads to, whatever held before; a detention depends on that. No other step counts."""
NO_CHANGE = "no change"
ORDER = (NO_CHANGE, "detained done", *FOLLOWS)
"""Of steps on one day; what is further on comes later."""
_KNOWN = dict(zip(ORDER, ORDER, strict=True))
COUNTING = (
    "persons with a key only; the latest step by then decides, on the latest day that its reports "
    "allow; `may_be` is the status if each step was on its earliest day instead; "
    "a promise or a refusal changes nothing; an empty status: no report says; "
    "a key that is merged into another is a row of its own"
)
ASSUMPTIONS = ("who was released and then detained, or whose release was undone, is back",)


@no_collections()
def people(
    connection: sa.Connection,
    *,
    state: str | None = None,
    development: str | None = None,
    as_of: AsOf = None,
    valid_at: str | None = None,
) -> Answer:
    """Return each person's status on a day (EDTF; its end), or by everything that is recorded.

    `state` is the country or organisation that holds or frees them; with `development` (its stream,
    or the short name), what it alone says.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    behind(connection, PEOPLE)
    at, day, by = position_at(connection, as_of), last_day(valid_at), state_code(state)
    c = table.c
    query = sa.select(
        c.person, c.event + " " + c.stage, sa.func.coalesce(c.valid_from, ""),
        sa.func.coalesce(c.valid_until, EVER), c.position, c.citizenships, c.stream,
    ).where(standing_at(table, at))
    if by is not None:
        query = query.where(c.held_by == by)
    if (stream := stream_name(connection, development)) is not None:
        query = query.where(c.stream == stream)
    steps = sorted(connection.execute(query).all(), key=itemgetter(0))
    persons = groupby(steps, key=itemgetter(0))
    rows = [_row(person, list(theirs), day or EVER) for person, theirs in persons]
    return Answer(
        PEOPLE.question,
        ("person", "status", "since", "until", "may_be", "citizenships", "positions"),
        [row for row in rows if row["positions"]],
        given(state=by, development=stream, valid_at=day, as_of=at),
        COUNTING,
        ASSUMPTIONS,
    )


def follow(before: str | None, said: str) -> str | None:
    """Return the status after one more step."""
    if said == "detained done":
        return BACK if before in (FREE, BACK) else DETAINED
    if said == "released ordered" and before == FREE:
        return FREE
    return FOLLOWS.get(said, before)


def _row(person: str, theirs: list[Any], day: str) -> Row:
    steps = agreed(
        (stream, _KNOWN.get(said, NO_CHANGE), first, last)
        for _, said, first, last, _, _, stream in theirs
    )
    (status, since, until), may_be = both(steps, day, follow, ORDER)
    codes = " ".join({row[5] for row in theirs})
    return {
        "person": person,
        "status": status,
        "since": since,
        "until": until,
        "may_be": may_be,
        "citizenships": sorted({*codes.split()}),
        "positions": sorted([at for _, _, first, _, at, *_ in theirs if first <= day]),
    }
