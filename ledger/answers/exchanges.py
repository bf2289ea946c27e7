"""What was given in return for what, who says so, and who denies it?

Takes a day; hands on an Answer with one row per development, kind of link and other end, and how
far each end went by that day.
"""

from collections.abc import Iterable
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
    stream_name,
)
from ledger.answers.merged import alike, groups_of, whole
from ledger.folding import no_collections
from ledger.projections.courses import EVER, ORDER, further, placed, standing
from ledger.projections.exchanges import EXCHANGES, exchange_stages
from ledger.projections.exchanges import exchanges as table
from ledger.projections.merges import MERGES
from ledger.projections.orders import stage_else
from ledger.projections.projection import standing_at
from ledger.store.read import among

COUNTING = (
    "one row for each pair of developments, the way round it is said, and kind of link, whether it "
    "is said or denied; a publisher counts once; `stage` and `to_stage` are the furthest that "
    "either end went, `may_be` and `to_may_be` at which stages else it may be, in whatever order "
    "their days allow; "
    "merged developments are one"
)

End = tuple[str, ...]
"""A development, by all of its names."""
Link = tuple[End, str, End]
Stages = tuple[str | None, str | None]
"""How far an end went, and at which stages else it may be."""
NOWHERE: Stages = (None, None)


@no_collections()
def exchanges(
    connection: sa.Connection,
    *,
    development: str | None = None,
    as_of: AsOf = None,
    valid_at: str | None = None,
) -> Answer:
    """Return which development is linked to which, who says so, and who denies it.

    `valid_at` (EDTF; its end) is the day by which the stages count; `development` (its stream, or
    the short name) keeps the links that it, or what it is merged with, is an end of.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    asked, day = position_at(connection, as_of), last_day(valid_at)
    at = reached(connection, (EXCHANGES, MERGES), asked)
    stream = stream_name(connection, development)
    stands = standing_at(table, at)
    groups = groups_of(connection, None if stream is None else [stream], at)
    if stream is not None:
        names = whole(groups, stream)
        stands = (table.c.stream.in_(names) | table.c.other.in_(names)) & stands
        groups = groups_of(connection, _linked(stands), at)
    found = connection.execute(sa.select(table).where(stands).order_by(table.c.position))
    links = alike(
        found, lambda row: (whole(groups, row.stream), row.link, whole(groups, row.other))
    )
    stages = _stages(connection, _linked(stands), links, at, day or EVER)
    rows = [_row(ends, same, stages) for ends, same in links.items()]
    rows.sort(key=lambda row: (row["development"], row["link"], row["to"]))
    disputes = [
        {"development": row["development"], "positions": row["positions"]}
        for row in rows
        if row["said_by"] and row["denied_by"]
    ]
    return Answer(
        EXCHANGES.question,
        ("development", "stage", "may_be", "link", "to", "to_stage", "to_may_be", "said_by",
         "denied_by", "positions", "same_as", "to_same_as"),
        rows,
        given(development=stream, valid_at=day, as_of=asked),
        COUNTING,
        disputes=disputes,
    )


def _linked(links: sa.ColumnElement[bool]) -> sa.CompoundSelect[Any]:
    """Return the developments that are an end of the links."""
    return sa.select(table.c.stream).where(links).union(sa.select(table.c.other).where(links))


def _stages(
    connection: sa.Connection,
    linked: sa.CompoundSelect[Any],
    links: Iterable[Link],
    as_of: int | None,
    day: str,
) -> dict[End, Stages]:
    """Return how far each end of the links went by the day; one of several names is one place."""
    c = exchange_stages.c
    query = sa.select(
        c.stream, c.stage, sa.func.coalesce(c.valid_from, ""),
        sa.func.coalesce(c.valid_until, EVER),
    ).where(standing_at(exchange_stages, as_of))
    found = connection.execute(query.where(c.stream.in_(linked))).all()
    several = {end for one, _, other in links for end in (one, other) if len(end) > 1}
    end_of = {name: end for end in several for name in end}
    if end_of:
        members = connection.execute(query.where(among(connection, c.stream, [*end_of])))
        found = [*members, *(row for row in found if row.stream not in end_of)]
    steps = alike(found, lambda row: end_of.get(row.stream, (row.stream,)))
    return {end: _stages_of(of, day) for end, of in steps.items()}


def _stages_of(reported: Iterable[Any], day: str) -> Stages:
    steps = placed(("", *step) for _, *step in reported)
    surely = standing([step[1:] for step in steps], day, further, ORDER).state
    return surely, stage_else(steps, day, surely)


def _row(link: Link, same: list[Any], stages: dict[End, Stages]) -> Row:
    one, kind, other = link
    (stage, may_be), (to_stage, to_may_be) = stages.get(one, NOWHERE), stages.get(other, NOWHERE)
    development, to = min(row.stream for row in same), min(row.other for row in same)
    return {
        "development": development,
        "stage": stage,
        "may_be": may_be,
        "link": kind,
        "to": to,
        "to_stage": to_stage,
        "to_may_be": to_may_be,
        "said_by": _publishers(row for row in same if not row.denied),
        "denied_by": _publishers(row for row in same if row.denied),
        "positions": [row.position for row in same],
        "same_as": [name for name in one if name != development],
        "to_same_as": [name for name in other if name != to],
    }


def _publishers(rows: Iterable[Any]) -> list[str]:
    return sorted({row.publisher for row in rows})
