"""Which measures are at which stage on which day?

Takes the target's country and a day; hands on an Answer with one row per development, target and
way. Without a day the answer table holds the courses as they are; by a day they are worked out from
the reports, in the same way.
"""

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from ledger.answers.answer import (
    Answer,
    AsOf,
    behind,
    given,
    last_day,
    position_at,
    read_positions,
    stream_name,
)
from ledger.folding import no_collections
from ledger.projections.projection import standing_at
from ledger.projections.sanctions import SANCTIONS, course, course_of, sanction_courses
from ledger.projections.sanctions import sanctions as table
from ledger.values.country import read_country

COUNTING = (
    "a stage counts from the latest day on which its reports let it begin; "
    "`may_be` is the stage if each began on its earliest day instead; "
    "what is done stays done until it is reversed; "
    "`until` is the day from which a later stage counts; "
    "merged developments are listed one by one"
)
VALUES = (
    "named", "target_state", "sender", "measures", "stage", "since", "may_be", "reached",
    "positions",
)
Course = tuple[Any, ...]
"""Development, target in small letters, way, then VALUES, and the day until which it is so."""
ASSUMPTIONS = ("reports that name the same target of one development are about the same measures",)


@no_collections()
def sanctions(
    connection: sa.Connection,
    *,
    state: str | None = None,
    development: str | None = None,
    as_of: AsOf = None,
    valid_at: str | None = None,
) -> Answer:
    """Return how far each measure went by a day (EDTF; its end), and when each stage was reached.

    `state` is the target's country; `development` (its stream, or the short name) keeps that one.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    behind(connection, SANCTIONS)
    code = None if state is None else read_country(state).code
    at, day = position_at(connection, as_of), last_day(valid_at)
    stream = stream_name(connection, development)
    courses = (
        _by_all(connection, code, stream, at) if day is None
        else [*_by_day(connection, code, stream, at, day)]
    )
    positions_of = read_positions([course[-2] for course in courses])
    return Answer(
        SANCTIONS.question,
        ("development", "target", "way", "stage", "from", "until", "may_be", "reached"),
        [
            {
                "development": development,
                "target": named,
                "target_state": target_state,
                "sender": sender,
                "way": way,
                "measures": measures.split(),
                "stage": stage,
                "from": since,
                "until": until,
                "may_be": may_be,
                "reached": reached,
                "positions": positions,
            }
            for (
                development, _, way, named, target_state, sender, measures, stage, since, may_be,
                reached, _, until,
            ), positions in zip(courses, positions_of, strict=True)
        ],
        given(state=code, development=stream, valid_at=day, as_of=at),
        COUNTING,
        ASSUMPTIONS,
    )


def _by_all(
    connection: sa.Connection, code: str | None, stream: str | None, as_of: int | None
) -> list[Course]:
    """Return the courses by everything that is recorded."""
    c = sanction_courses.c
    query = sa.select(
        c.stream, c.target, c.way, *(c[name] for name in VALUES), sa.null()
    ).where(*_asked(sanction_courses, code, stream, as_of))
    with connection.execute(query) as result:
        assert result.cursor is not None
        found = result.cursor.fetchall()  # the driver's tuples: a state has thousands
    return sorted(found)  # by the first three, which no two rows share


def _by_day(
    connection: sa.Connection, code: str | None, stream: str | None, as_of: int | None, day: str
) -> Iterator[Course]:
    """Yield the courses that had begun by a day, worked out from the reports."""
    query = sa.select(table).where(*_asked(table, code, stream, as_of)).order_by(table.c.position)
    courses: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in map(dict, connection.execute(query).mappings()):
        courses.setdefault((row["stream"], *course_of(row)), []).append(row)
    for key, found in sorted(courses.items(), key=itemgetter(0)):
        values, until = course(found, day)
        if values["positions"]:
            yield (*key, *(values[name] for name in VALUES), until)


def _asked(
    rows: sa.Table, code: str | None, stream: str | None, as_of: int | None
) -> Iterator[sa.ColumnElement[bool]]:
    """Yield the conditions on rows: those of a development that is about the country anywhere."""
    yield standing_at(rows, as_of)
    if stream is not None:
        yield rows.c.stream == stream
    if code is not None:
        same = table.alias("same")
        about = sa.select(same.c.stream).where(
            standing_at(same, as_of), same.c.target_state == code
        )
        yield rows.c.stream.in_(about)
