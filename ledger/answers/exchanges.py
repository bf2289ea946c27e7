"""What was given in return for what, who says so, and who denies it?

Takes a day; hands on an Answer with one row per development, kind of link and other end, and how
far each end went by that day.
"""

from collections.abc import Iterable
from itertools import groupby
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
    stream_name,
)
from ledger.folding import no_collections
from ledger.projections.courses import EVER, ORDER, agreed, further, standing
from ledger.projections.exchanges import EXCHANGES, exchange_stages
from ledger.projections.exchanges import exchanges as table
from ledger.projections.projection import standing_at

COUNTING = (
    "one row for each pair of developments, the way round it is said, and kind of link, whether it "
    "is said or denied; a publisher counts once; `stage` and `to_stage` are the furthest that "
    "either end went; "
    "merged developments are listed one by one"
)

Ends = dict[str, str | None]


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
    the short name) keeps the links that it is an end of.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    behind(connection, EXCHANGES)
    at, day = position_at(connection, as_of), last_day(valid_at)
    stream = stream_name(connection, development)
    stands = standing_at(table, at)
    if stream is not None:
        stands = ((table.c.stream == stream) | (table.c.other == stream)) & stands
    found = connection.execute(sa.select(table).where(stands)).all()
    links = sorted(found, key=lambda row: (*_link(row), row.position))
    ends = _stages(connection, stands, at, day or EVER)
    rows = [_row(key, list(same), ends) for key, same in groupby(links, key=_link)]
    disputes = [
        {"development": row["development"], "positions": row["positions"]}
        for row in rows
        if row["said_by"] and row["denied_by"]
    ]
    return Answer(
        EXCHANGES.question,
        ("development", "stage", "link", "to", "to_stage", "said_by", "denied_by", "positions"),
        rows,
        given(development=stream, valid_at=day, as_of=at),
        COUNTING,
        disputes=disputes,
    )


def _link(row: Any) -> tuple[str, str, str]:
    return row.stream, row.link, row.other


def _stages(
    connection: sa.Connection, links: sa.ColumnElement[bool], as_of: int | None, day: str
) -> Ends:
    """Return how far each end of these links went by the day."""
    linked = sa.select(table.c.stream).where(links).union(sa.select(table.c.other).where(links))
    c = exchange_stages.c
    query = sa.select(
        c.stream, c.stage, sa.func.coalesce(c.valid_from, ""),
        sa.func.coalesce(c.valid_until, EVER),
    ).where(standing_at(exchange_stages, as_of), c.stream.in_(linked))
    steps: dict[str, list[tuple[str, str, str, str]]] = {}
    for end, *step in connection.execute(query):
        steps.setdefault(end, []).append((end, *step))
    return {end: standing(agreed(of), day, further, ORDER).state for end, of in steps.items()}


def _row(key: tuple[str, str, str], same: list[Any], ends: Ends) -> Row:
    development, link, to = key
    return {
        "development": development,
        "stage": ends.get(development),
        "link": link,
        "to": to,
        "to_stage": ends.get(to),
        "said_by": _publishers(row for row in same if not row.denied),
        "denied_by": _publishers(row for row in same if row.denied),
        "positions": [row.position for row in same],
    }


def _publishers(rows: Iterable[Any]) -> list[str]:
    return sorted({row.publisher for row in rows})
