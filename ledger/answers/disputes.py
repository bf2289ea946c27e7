"""Which developments' reports contradict each other, and about what?

Takes the question's parameters; hands on an Answer with a row for each development and stage in
dispute. Reads answer tables only, never an event.
"""

from collections.abc import Iterator
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
    read_positions,
    state_code,
    stream_name,
)
from ledger.answers.merged import (
    Asked,
    Groups,
    alike,
    groups_of,
    others,
    positions_of,
    whole,
)
from ledger.folding import no_collections
from ledger.projections.disputes import ABOUT, DISPUTES, dispute_parties
from ledger.projections.disputes import disputes as table
from ledger.projections.merges import MERGES
from ledger.projections.projection import standing_at
from ledger.store.read import among

COUNTING = (
    "live reports of one type and stage are compared with each other; "
    "positions are those of the reports that cannot all hold; merged developments are one row, and "
    "what they contradict each other in is told by the answer that adds them up"
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
    `development` (its stream, or the short name), that one alone, with what it is merged with.
    A contradiction belongs to the record and not to a day: `valid_at` is checked and changes
    nothing.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    last_day(valid_at)
    asked = position_at(connection, as_of)
    at = reached(connection, (DISPUTES, MERGES), asked)
    scope = given(
        state=state_code(state), development=stream_name(connection, development), as_of=asked
    )
    groups = groups_of(connection, _asked_about(scope, at), at)
    found: list[tuple[Any, ...]] = plain_rows(connection, _query(scope, at))
    if groups:
        lone = [row for row in found if row[0] not in groups]
        found = sorted([*lone, *_united(connection, groups, scope.get("state"), at)])
    return Answer(
        DISPUTES.question,
        ("development", "type", "stage", "about", "positions", "same_as"),
        [
            {
                "development": stream,
                "type": type,
                "stage": stage,
                "about": about,
                "positions": positions,
                "same_as": others(groups, stream) if groups else [],
            }
            for (stream, type, stage, about, _), positions
            in zip(found, read_positions([row[-1] for row in found]), strict=True)
        ],
        scope,
        COUNTING,
        ASSUMPTIONS,
    )


def _asked_about(scope: Row, as_of: int | None) -> Asked:
    """Return the streams whose groups may count; None: all."""
    if "development" in scope:
        return [scope["development"]]
    theirs = dispute_parties.c
    if "state" not in scope:
        return None
    return sa.select(theirs.stream).where(
        theirs.party == scope["state"], standing_at(dispute_parties, as_of)
    )


def _standing(as_of: int | None) -> sa.Select[Any]:
    c = table.c
    query = sa.select(c.stream, c.type, c.stage, c.about, c.positions)
    return query.where(standing_at(table, as_of))


def _query(scope: Row, as_of: int | None) -> sa.Select[Any]:
    """Return the disputes by development, type and stage: from the rows of a party, in their order.
    """
    c, theirs = table.c, dispute_parties.c
    query = _standing(as_of)
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


def _united(
    connection: sa.Connection, groups: Groups, party: str | None, as_of: int | None
) -> Iterator[tuple[str, ...]]:
    """Yield the disputes of each group of one type and stage; with a party, those that are its."""
    theirs = dispute_parties.c
    members = among(connection, table.c.stream, [*groups])
    rows = connection.execute(_standing(as_of).where(members)).all()
    of_party = sa.select(theirs.stream, theirs.type, theirs.stage).where(
        standing_at(dispute_parties, as_of), among(connection, theirs.stream, [*groups]),
        theirs.party == party,
    )

    def key(row: Any) -> tuple[tuple[str, ...], str, str]:
        return whole(groups, row.stream), row.type, row.stage

    wanted = None if party is None else {key(row) for row in connection.execute(of_party)}
    for place, same in alike(rows, key).items():
        if wanted is None or place in wanted:
            about = {word for row in same for word in row.about.split(", ")}
            yield (
                min(row.stream for row in same),
                *place[1:],
                ", ".join(word for word in ABOUT if word in about),
                positions_of(row.positions for row in same),
            )
