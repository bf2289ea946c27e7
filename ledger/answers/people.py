"""Who is detained, ordered free, free, or back in custody?

Takes the state that holds or frees them and a day; hands on an Answer with one row per person, by
key and never by name.
"""

from collections.abc import Collection
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from ledger.answers.answer import (
    Answer,
    AsOf,
    Row,
    given,
    last_day,
    plain_rows,
    position_at,
    reached,
    state_code,
    stream_name,
)
from ledger.answers.merged import Groups, alike, groups_of, others, whole
from ledger.folding import no_collections
from ledger.projections.courses import EVER, Standing, known_day, placed, standing
from ledger.projections.merges import MERGES, PERSONS, person_merges
from ledger.projections.orders import Placed, state_else
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
ORDER = ("detained done", *FOLLOWS)
"""Of steps on one day, for the status; `may_be` looks at every order."""
_KNOWN = frozenset(ORDER)
"""Others change nothing."""
UNDOES = {"released reversed": "released done", "detained reversed": "detained done"}
COUNTING = (
    "persons with a key only; the latest step by then decides, on the latest day that its reports "
    "allow, of one day a detention before a release; `may_be` is what else it may be, in whatever "
    "order their days allow; "
    "a promise or a refusal changes nothing; an empty status: no report says; "
    "merged keys are one person, and steps of merged developments are steps of one"
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
    or the short name), what it alone says, with what it is merged with.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    asked, day, by = position_at(connection, as_of), last_day(valid_at), state_code(state)
    at = reached(connection, (PEOPLE, MERGES, PERSONS), asked)
    stream = stream_name(connection, development)
    streams = None
    if stream is not None:
        streams = whole(groups_of(connection, [stream], at), stream)
    found = _steps(connection, by, streams, at)
    groups = groups_of(connection, {row[-1] for row in found}, at)
    persons = groups_of(connection, {row[0] for row in found}, at, person_merges)
    steps = alike(found, lambda row: persons.get(row[0], row[0]))
    rows = [_row(theirs, groups, persons, day or EVER) for theirs in steps.values()]
    return Answer(
        PEOPLE.question,
        ("person", "status", "since", "until", "may_be", "citizenships", "positions", "same_as"),
        sorted([row for row in rows if row["positions"]], key=itemgetter("person")),
        given(state=by, development=stream, valid_at=day, as_of=asked),
        COUNTING,
        ASSUMPTIONS,
    )


def _steps(
    connection: sa.Connection, by: str | None, streams: tuple[str, ...] | None, as_of: int | None
) -> list[tuple[Any, ...]]:
    """Return the steps of everybody: under a state, those of that state alone."""
    c = table.c
    query = sa.select(
        c.person, c.event + " " + c.stage, sa.func.coalesce(c.valid_from, ""),
        sa.func.coalesce(c.valid_until, EVER), c.position, c.citizenships, c.stream,
    ).where(standing_at(table, as_of))
    if by is not None:
        query = query.where(c.held_by == by)
    if streams is not None:
        query = query.where(c.stream.in_(streams))
    return plain_rows(connection, query)


def follow(before: str | None, said: str) -> str | None:
    """Return the status after one more step."""
    if said == "detained done":
        return BACK if before in (FREE, BACK) else DETAINED
    if said == "released ordered" and before == FREE:
        return FREE
    return FOLLOWS.get(said, before)


def _row(theirs: list[Any], groups: Groups, persons: Groups, day: str) -> Row:
    person = theirs[0][0]
    if person in persons:
        person = min([row[0] for row in theirs])
    steps = placed(
        (groups.get(stream, stream), said, first, last)
        for _, said, first, last, _, _, stream in theirs if said in _KNOWN
    )
    (status, since, until), may_be = _status(steps, day)
    codes = {row[5] for row in theirs}
    return {
        "person": person,
        "status": status,
        "since": since,
        "until": until,
        "may_be": may_be,
        "citizenships": sorted({*" ".join(codes).split()}),
        "positions": sorted({row[4] for row in theirs if row[2] <= day}),
        "same_as": others(persons, person) if person in persons else [],
    }


def _status(steps: Collection[Placed], day: str) -> tuple[Standing, str | None]:
    """Return what holds on the day, and what may hold instead."""
    if len(steps) == 1:  # so it is of most
        _, said, _, last = next(iter(steps))
        if last <= day:
            return Standing(follow(None, said), known_day(last), None), None
    surely = standing([step[1:] for step in steps], day, follow, ORDER)
    others = state_else(steps, day, surely.state, follow, UNDOES)
    return surely, " or ".join(sorted(others)) or None
