"""Which measures are at which stage on which day?

Takes the target's country and a day; hands on an Answer with one row per development, target and
way. Without a day the answer table holds the courses as they are; by a day, and for developments
that are merged, they are worked out from the reports, in the same way.
"""

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from ledger.answers.answer import (
    Answer,
    AsOf,
    given,
    last_day,
    plain_rows,
    position_at,
    reached,
    read_positions,
    stream_name,
)
from ledger.answers.merged import Asked, Groups, alike, groups_of, others, whole
from ledger.folding import no_collections
from ledger.projections.courses import EVER
from ledger.projections.merges import MERGES
from ledger.projections.projection import standing_at
from ledger.projections.sanctions import SANCTIONS, course, course_of, sanction_courses
from ledger.projections.sanctions import sanctions as table
from ledger.store.read import among
from ledger.values.country import read_country

COUNTING = (
    "a stage counts from the latest day on which its reports let it begin; "
    "`may_be` is at which stages else it may be, in whatever order their days allow; "
    "what is done stays done until it is reversed; "
    "`until` is the day from which a later stage counts; "
    "merged developments are one"
)
VALUES = (
    "named", "target_state", "sender", "measures", "stage", "since", "may_be", "reached",
    "positions",
)
TARGET_STATE = 3 + VALUES.index("target_state")
ASIDE = ("target_state", "sender", "measures", "positions")
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

    `state` is the target's country: of the developments that any report says are about it, what is
    aimed at it, or at something of no stated country. `development` (its stream, or the short name)
    keeps that one, with what it is merged with.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    code = None if state is None else read_country(state).code
    asked, day = position_at(connection, as_of), last_day(valid_at)
    at = reached(connection, (SANCTIONS, MERGES), asked)
    stream = stream_name(connection, development)
    found = _found(connection, code, stream, at, day)
    groups = groups_of(connection, _asked_about(code, stream, found), at)
    courses: list[Course] = found if day is None else [*_worked_out(found, {}, day)]
    if groups:
        lone = [course for course in courses if course[0] not in groups]
        courses = [*lone, *_united(connection, groups, code, at, day)]
    if code is not None:
        courses = [course for course in courses if course[TARGET_STATE] in (code, None)]
    courses.sort()  # by the first three, which no two rows share
    positions_of = read_positions([course[-2] for course in courses])
    return Answer(
        SANCTIONS.question,
        ("development", "target", "way", "stage", "from", "until", "may_be", "reached", "same_as",
         *ASIDE),
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
                "same_as": others(groups, development) if groups else [],
                "positions": positions,
            }
            for (
                development, _, way, named, target_state, sender, measures, stage, since, may_be,
                reached, _, until,
            ), positions in zip(courses, positions_of, strict=True)
        ],
        given(state=code, development=stream, valid_at=day, as_of=asked),
        COUNTING,
        ASSUMPTIONS,
        aside=ASIDE,
    )


def _found(
    connection: sa.Connection,
    code: str | None,
    stream: str | None,
    as_of: int | None,
    day: str | None,
) -> list[Any]:
    """Return the courses of developments by themselves; by a day, the reports that make them up."""
    if day is not None:
        reports = sa.select(table).where(*_asked(table, code, stream, as_of))
        return [*connection.execute(reports)]
    c = sanction_courses.c
    query = sa.select(c.stream, c.target, c.way, *(c[name] for name in VALUES), sa.null())
    return plain_rows(connection, query.where(*_asked(sanction_courses, code, stream, as_of)))


def _asked_about(code: str | None, stream: str | None, found: Iterable[Any]) -> Asked:
    """Return the streams whose groups may count; None: all."""
    if stream is not None:
        return [stream]
    return None if code is None else {row[0] for row in found}


def _united(
    connection: sa.Connection, groups: Groups, code: str | None, as_of: int | None, day: str | None
) -> Iterator[Course]:
    """Yield the courses of the groups, of which any report is about the country."""
    members = among(connection, table.c.stream, [*groups])
    reports = connection.execute(sa.select(table).where(standing_at(table, as_of), members))
    for same in alike(reports, lambda row: whole(groups, row.stream)).values():
        if code is None or code in {row.target_state for row in same}:
            yield from _worked_out(same, groups, day or EVER)


def _worked_out(reports: Iterable[Any], groups: Groups, day: str) -> Iterator[Course]:
    """Yield the courses that had begun by a day, worked out from the reports."""
    in_order = [row._mapping for row in sorted(reports, key=attrgetter("position"))]
    courses = alike(in_order, lambda row: (whole(groups, row["stream"]), *course_of(row)))
    for (_, *key), found in courses.items():
        values, until = course(found, day)
        if values["positions"]:
            stream = min(row["stream"] for row in found)
            yield (stream, *key, *(values[name] for name in VALUES), until)


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
