"""Which developments' reports contradict each other, and about what?

Takes the question's parameters; hands on an Answer with a row for each development and stage in
dispute. Reads answer tables only, never an event.
"""

import sqlalchemy as sa

from ledger.answers.answer import (
    Answer,
    AsOf,
    behind,
    given,
    last_day,
    position_at,
    state_code,
    stream_name,
)
from ledger.projections.disputes import DISPUTES, dispute_parties
from ledger.projections.disputes import disputes as table
from ledger.projections.projection import standing_at

COUNTING = (
    "live reports of one type and stage are compared with each other; "
    "positions are those of the reports that cannot all hold"
)
ASSUMPTIONS = ("a person has one citizenship unless a report names more for that person",)


def disputes(
    connection: sa.Connection,
    *,
    state: str | None = None,
    development: str | None = None,
    as_of: AsOf = None,
    valid_at: str | None = None,
) -> Answer:
    """Return each development and stage in dispute, what about, and the positions that disagree.

    With `state`, only where a report says that this state or organisation did it or took part; with
    `development` (its stream, or the short name), that one alone.
    A contradiction belongs to the record and not to a day: `valid_at` is checked and changes
    nothing.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    last_day(valid_at)
    behind(connection, DISPUTES)
    scope = given(
        state=state_code(state),
        development=stream_name(connection, development),
        as_of=position_at(connection, as_of),
    )
    query = sa.select(table).where(standing_at(table, scope.get("as_of")))
    if "state" in scope:
        query = query.where(_names(scope["state"], scope.get("as_of")))
    if "development" in scope:
        query = query.where(table.c.stream == scope["development"])
    c = table.c
    return Answer(
        DISPUTES.question,
        ("development", "type", "stage", "about", "positions"),
        [
            {
                "development": row.stream,
                "type": row.type,
                "stage": row.stage,
                "about": row.about,
                "positions": [int(position) for position in row.positions.split()],
            }
            for row in connection.execute(query.order_by(c.stream, c.type, c.stage)).all()
        ],
        scope,
        COUNTING,
        ASSUMPTIONS,
    )


def _names(state: str, as_of: int | None) -> sa.ColumnElement[bool]:
    """Return the condition that a report of the dispute names the state."""
    party, c = dispute_parties.c, table.c
    theirs = sa.select(party.stream, party.type, party.stage).where(
        party.party == state, standing_at(dispute_parties, as_of)
    )
    return sa.tuple_(c.stream, c.type, c.stage).in_(theirs)
