"""Who talked with whom, when, and in which form?

Takes a party and a day; hands on an Answer with one row per development and stage.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from ledger.answers.answer import (
    Answer,
    AsOf,
    first_day,
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
    joined,
    others,
    positions_of,
    whole,
)
from ledger.bounds.days import Span, common
from ledger.folding import no_collections
from ledger.projections.merges import MERGES
from ledger.projections.projection import standing_at
from ledger.projections.talks import TALKS, talk_parties
from ledger.projections.talks import talks as table
from ledger.store.read import among

COUNTING = (
    "one row for each development and stage; `from` and `until` are the earliest and the latest "
    "day, both included; a day keeps the talks that may have been on it; "
    "merged developments are one row"
)
Talk = Sequence[Any]
"""Until, from, development, stage, parties, form, place, reports, positions."""


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
    short name) keeps that one, with what it is merged with.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    party, asked = state_code(state), position_at(connection, as_of)
    at = reached(connection, (TALKS, MERGES), asked)
    stream = stream_name(connection, development)
    days = first_day(valid_at), last_day(valid_at)
    groups = groups_of(connection, _asked_about(party, stream, at), at)
    found: list[Talk] = [*plain_rows(connection, _query(party, stream, at, days))]
    if groups:
        found = [row for row in found if row[2] not in groups]
        found += [row for row in _united(connection, groups, party, at) if _overlaps(row, days)]
    found.sort(key=_by_day)
    return Answer(
        TALKS.question,
        ("development", "parties", "from", "until", "form", "place", "stage", "reports", "same_as"),
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
                "same_as": others(groups, development) if groups else [],
                "positions": positions,
            }
            for (latest, earliest, development, stage, parties, form, place, reports, _), positions
            in zip(found, read_positions([row[-1] for row in found]), strict=True)
        ],
        given(state=party, development=stream, valid_at=valid_at, as_of=asked),
        COUNTING,
    )


def _asked_about(party: str | None, stream: str | None, as_of: int | None) -> Asked:
    """Return the streams whose groups may count; None: all."""
    if stream is not None:
        return [stream]
    theirs = talk_parties.c
    if party is None:
        return None
    return sa.select(theirs.stream).where(
        theirs.party == party, standing_at(talk_parties, as_of)
    )


def _standing(as_of: int | None) -> sa.Select[Any]:
    c = table.c
    return sa.select(
        c.valid_until, c.valid_from, c.stream, c.stage, c.parties, c.form, c.place_country,
        c.reports, c.positions,
    ).where(standing_at(table, as_of))


def _query(
    party: str | None, stream: str | None, as_of: int | None, days: Span
) -> sa.Select[Any]:
    """Return the talks by themselves: from the rows of a party."""
    c, theirs = table.c, talk_parties.c
    query = _standing(as_of).where(*_may_be_on(days))
    if stream is not None:
        query = query.where(c.stream == stream)
    if party is None:
        return query
    return query.join_from(
        talk_parties, table, (c.stream == theirs.stream) & (c.stage == theirs.stage)
    ).where(theirs.party == party, standing_at(talk_parties, as_of))


def _united(
    connection: sa.Connection, groups: Groups, party: str | None, as_of: int | None
) -> Iterator[Talk]:
    """Yield the talks of each group at each stage, by all that is said of any of its developments;
    with a party, where it is named there."""
    theirs = talk_parties.c
    rows = connection.execute(
        _standing(as_of).where(among(connection, table.c.stream, [*groups]))
    ).all()
    named_there = connection.execute(
        sa.select(theirs.stream, theirs.stage, theirs.party).where(
            standing_at(talk_parties, as_of), among(connection, theirs.stream, [*groups])
        )
    )
    parties = alike(named_there, lambda row: (whole(groups, row.stream), row.stage))
    for key, same in alike(rows, lambda row: (whole(groups, row.stream), row.stage)).items():
        names = {row.party for row in parties[key]}
        if party is None or party in names:
            yield _one(same, ", ".join(sorted(names)))


def _one(same: Sequence[Any], parties: str) -> Talk:
    first, last = common([(row.valid_from, row.valid_until) for row in same])
    return (
        last,
        first,
        min(row.stream for row in same),
        same[0].stage,
        parties,
        joined(row.form for row in same),
        joined(row.place_country for row in same),
        sum(row.reports for row in same),
        positions_of(row.positions for row in same),
    )


def _may_be_on(days: Span) -> Iterator[sa.ColumnElement[bool]]:
    first, last = days
    if last is not None:
        yield sa.func.coalesce(table.c.valid_from <= last, sa.true())
    if first is not None:
        yield sa.func.coalesce(table.c.valid_until >= first, sa.true())


def _overlaps(talk: Talk, days: Span) -> bool:
    """Return for a group what `_may_be_on` asks of one development."""
    (until, since, *_), (first, last) = talk, days
    begun = last is None or since is None or since <= last
    return bool(begun and (first is None or until is None or until >= first))


def _by_day(row: Talk) -> tuple[str, str, str]:
    """Sort in Python, so that every database gives one order."""
    return row[0] or row[1] or "", row[2], row[3]
