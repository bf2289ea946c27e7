"""Asking: what every question refuses, and how far its answer is behind the record.

Takes a question and its parameters as people write them; hands on its Answer, from one state of the
tables whatever a rebuild puts in their place meanwhile. A slip of the pen is no zero, and a
position that was asked for once has one answer for ever: where the tables have not taken in so much
yet, there is none.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from ledger.answers.answer import (
    Answer,
    AsOf,
    Replaced,
    first_day,
    last_day,
    position_at,
    taken_in,
)
from ledger.answers.registry import Question
from ledger.errors import BadValue, CouldNot
from ledger.projections.projection import Projection
from ledger.store.checkpoints import read_checkpoint
from ledger.store.connect import Connectable, reading
from ledger.store.read import read_head
from ledger.values.country import is_country

TRIES = 20
"""Transactions in which a question is asked at most: more than a rebuild replaces tables."""
Asked = TypeVar("Asked")


class Lag(NamedTuple):
    """What the tables behind an answer have not taken in yet."""

    events: int
    """How many were recorded since the table that is furthest behind was filled."""
    stalls: Sequence[str] = ()
    """Which projections stopped at an event that they cannot apply, where and why."""


def in_one_state(database: Connectable, ask: Callable[[sa.Connection], Asked]) -> Asked:
    """Return what is asked in one transaction; in the next one where a rebuild replaced the tables.

    Raises Replaced where that happens time and again.
    """
    for _ in range(TRIES - 1):
        with suppress(Replaced), reading(database) as connection:
            return ask(connection)
    with reading(database) as connection:
        return ask(connection)


def ask(connection: sa.Connection, question: Question, **parameters: Any) -> Answer:
    """Return the answer, with how many events its tables have not taken in, and what stops them.

    Raises what the question's own function raises, and what `checked` does.
    """
    names = ("state", "since", "until", "valid_at", "as_of")
    scope = {name: parameters.get(name) for name in names}
    as_of = checked(connection, question.reads(parameters), question.party, **scope)
    answer = question.answer(connection, **{**parameters, "as_of": as_of})
    late = lag(connection, question.reads(parameters), as_of)
    return replace(answer, behind=late.events, stalls=late.stalls)


def checked(
    connection: sa.Connection,
    projections: Sequence[Projection],
    party: sa.Column[Any] | None,
    *,
    state: str | None = None,
    since: str | None = None,
    until: str | None = None,
    valid_at: str | None = None,
    as_of: AsOf = None,
) -> int | None:
    """Return the position that is asked about; None: all that was taken in.

    Raises BadValue for a state that is neither a country nor in the column `party`, for days that
    are open or in the wrong order, and for what is no position of this ledger; NotFound where a
    projection was never built; CouldNot where one has not taken in the position.
    """
    if state is not None and party is not None and not is_country(state):
        taken_in(connection, projections)  # holds the tables that are looked into
        _check_party(connection, party, state)
    for last in (until, valid_at):
        _check_days(since, last)
    position = position_at(connection, as_of)
    if position is not None:
        check_taken_in(connection, projections, position)
    return position


def lag(
    connection: sa.Connection, projections: Sequence[Projection], as_of: int | None = None
) -> Lag:
    """Return what the projections' tables have not taken in; nothing where a position is asked for,
    since there is no answer before they have. Raises what `taken_in` does."""
    events = 0
    if as_of is None:
        events = read_head(connection).size - min(taken_in(connection, projections))
    stalls = [_stall(connection, projection) for projection in projections] if events else []
    return Lag(events, [stall for stall in stalls if stall])


def check_taken_in(
    connection: sa.Connection, projections: Sequence[Projection], position: int
) -> None:
    """Raise CouldNot where the tables of one of the projections do not hold that position yet."""
    for projection, last in zip(projections, taken_in(connection, projections), strict=True):
        if position > last:
            why = _stall(connection, projection) or (
                f"{projection.name} has taken in {last:,} events so far; "
                f"`ledger projections catch-up {projection.name}` takes in the others"
            )
            raise CouldNot(f"answer as of position {position:,}", why)


def _stall(connection: sa.Connection, projection: Projection) -> str | None:
    """Return where the projection stopped, and why; None: it did not."""
    point = read_checkpoint(connection, projection.name, projection.version)
    if point is None or point.stalled_at is None:
        return None
    return f"{projection.name} stopped at position {point.stalled_at:,}: {point.stall_cause}"


def _check_party(connection: sa.Connection, party: sa.Column[Any], state: str) -> None:
    known = sa.select(party).where(party == state).limit(1)
    if connection.execute(known).first() is None:
        wanted = "a country's name or ISO code (in capitals), or an organisation on record here"
        raise BadValue(state, wanted)


def _check_days(since: str | None, until: str | None) -> None:
    first, last = first_day(since), last_day(until)
    if since is not None and first is None:
        raise BadValue(since, "a first day: this one is open")
    if until is not None and last is None:
        raise BadValue(until, "a last day: this one is open")
    if first is not None and last is not None and first > last:
        raise BadValue(f"since {since} until {until}", "a first day that is not after the last")
