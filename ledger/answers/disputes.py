"""Which developments' reports contradict each other, and about what?

Takes the question's parameters; hands on an Answer with a row for each development and stage in
dispute. Reads answer tables only, never an event.
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
    read_positions,
    state_code,
    stream_name,
)
from ledger.folding import no_collections
from ledger.projections.disputes import DISPUTES, dispute_parties
from ledger.projections.disputes import disputes as table
from ledger.projections.projection import standing_at

COUNTING = (
    "live reports of one type and stage are compared with each other; "
    "positions are those of the reports that cannot all hold; what merged developments "
    "contradict each other in is told by the answer that adds them up"
)
ASSUMPTIONS = ("a person has one citizenship unless a report names more for that person",)


@no_collections()
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
    found = connection.execute(_query(scope)).all()
    return Answer(
        DISPUTES.question,
        ("development", "type", "stage", "about", "positions"),
        [
            {
                "development": stream,
                "type": type,
                "stage": stage,
                "about": about,
                "positions": positions,
            }
            for (stream, type, stage, about, _), positions
            in zip(found, read_positions([row[-1] for row in found]), strict=True)
        ],
        scope,
        COUNTING,
        ASSUMPTIONS,
    )


def _query(scope: Row) -> sa.Select[Any]:
    """Return the disputes by development, type and stage: from the rows of a party, in their order.
    """
    c, theirs, as_of = table.c, dispute_parties.c, scope.get("as_of")
    query = sa.select(c.stream, c.type, c.stage, c.about, c.positions)
    query = query.where(standing_at(table, as_of))
    if "development" in scope:
        query = query.where(c.stream == scope["development"])
    if "state" not in scope:
        return query.order_by(c.stream, c.type, c.stage)
    same = (c.stream == theirs.stream) & (c.type == theirs.type) & (c.stage == theirs.stage)
    return (
        query.join_from(dispute_parties, table, same)
        .where(theirs.party == scope["state"], standing_at(dispute_parties, as_of))
        .order_by(theirs.stream, theirs.type, theirs.stage)
    )
