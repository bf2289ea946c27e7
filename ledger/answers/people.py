"""Who is detained, ordered free, free, or back in custody?

Takes the state that holds or frees them and a day; hands on an Answer with one row per person, by
key and never by name.
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
    stream_name,
)
from ledger.answers.sanctions import EVER, known_by, standing, step_of
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
ORDER = ("no change", "detained done", *FOLLOWS)
"""Of steps on one day; what is further on comes later."""
COUNTING = (
    "persons with a key only; the latest step by then decides, on the latest day that its report "
    "allows; `may_be` is the status if each step was on its earliest day instead; "
    "a promise or a refusal changes nothing; an empty status: no report says; "
    "a key that is merged into another is a row of its own"
)
ASSUMPTIONS = ("who was released and then detained, or whose release was undone, is back",)


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
    query = sa.select(table).where(standing_at(table, at)).order_by(table.c.position)
    if by is not None:
        query = query.where(table.c.held_by == by)
    if (stream := stream_name(connection, development)) is not None:
        query = query.where(table.c.stream == stream)
    found: dict[str, list[Any]] = {}
    for row in connection.execute(query).all():
        found.setdefault(row.person, []).append(row)
    rows = [_row(person, theirs, day or EVER) for person, theirs in sorted(found.items())]
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
    steps = [step_of(row, _said(row)) for row in theirs]
    surely = standing(steps, day, follow, ORDER)
    perhaps = standing(steps, day, follow, ORDER, earliest=True)
    known = known_by(steps, day)
    return {
        "person": person,
        "status": surely.state,
        "since": surely.since,
        "until": surely.until,
        "may_be": perhaps.state if perhaps.state != surely.state else None,
        "citizenships": sorted({code for row in theirs for code in row.citizenships.split()}),
        "positions": [step.position for step in known],
    }


def _said(row: Any) -> str:
    said = f"{row.event} {row.stage}"
    return said if said in ORDER else ORDER[0]
