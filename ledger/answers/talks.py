"""Who talked with whom, when, and in which form?

Takes a party and a day; hands on an Answer with one row per development and stage.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from ledger.answers.answer import (
    Answer,
    AsOf,
    behind,
    first_day,
    given,
    last_day,
    position_at,
    read_positions,
    state_code,
    stream_name,
)
from ledger.folding import no_collections
from ledger.projections.projection import standing_at
from ledger.projections.talks import TALKS, talk_parties
from ledger.projections.talks import talks as table

COUNTING = (
    "one row for each development and stage; `from` and `until` are the earliest and the latest "
    "day, both included; a day keeps the talks that may have been on it; "
    "merged developments are listed one by one"
)


@no_collections()
def talks(
    connection: sa.Connection,
    *,
    state: str | None = None,
    development: str | None = None,
    as_of: AsOf = None,
    valid_at: str | None = None,
) -> Answer:
    """Return the talks that a state or organisation was a party to, by day.

    `valid_at` (EDTF) keeps those that may have been on that day; `development` (its stream, or the
    short name) keeps that one.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    behind(connection, TALKS)
    party, at = state_code(state), position_at(connection, as_of)
    stream = stream_name(connection, development)
    query = _query(party, stream, at)
    first, last = first_day(valid_at), last_day(valid_at)
    if last is not None:
        query = query.where(sa.func.coalesce(table.c.valid_from <= last, sa.true()))
    if first is not None:
        query = query.where(sa.func.coalesce(table.c.valid_until >= first, sa.true()))
    found = sorted(connection.execute(query).all(), key=_by_day)
    return Answer(
        TALKS.question,
        ("development", "parties", "from", "until", "form", "place", "stage", "reports"),
        [
            {
                "development": development,
                "parties": parties,
                "from": earliest,
                "until": latest,
                "form": form,
                "place": place,
                "stage": stage,
                "reports": reports,
                "positions": positions,
            }
            for (latest, earliest, development, stage, parties, form, place, reports, _), positions
            in zip(found, read_positions([row[-1] for row in found]), strict=True)
        ],
        given(state=party, development=stream, valid_at=valid_at, as_of=at),
        COUNTING,
    )


def _query(party: str | None, stream: str | None, as_of: int | None) -> sa.Select[Any]:
    """Return the talks by development and stage: from the rows of a party, in their order."""
    c, theirs = table.c, talk_parties.c
    query = sa.select(
        c.valid_until, c.valid_from, c.stream, c.stage, c.parties, c.form, c.place_country,
        c.reports, c.positions,
    ).where(standing_at(table, as_of))
    if stream is not None:
        query = query.where(c.stream == stream)
    if party is None:
        return query.order_by(c.stream, c.stage)
    return (
        query.join_from(
            talk_parties, table, (c.stream == theirs.stream) & (c.stage == theirs.stage)
        )
        .where(theirs.party == party, standing_at(talk_parties, as_of))
        .order_by(theirs.stream, theirs.stage)
    )


def _by_day(row: Sequence[Any]) -> str:
    """Sort in Python, so that every database gives one order."""
    latest, earliest, *_ = row
    return latest or earliest or ""
