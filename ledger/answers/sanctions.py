"""Which measures are at which stage on which day? Also how a course of steps is read.

Takes the target's country and a day; hands on an Answer with one row per development, target and
way. `Step` and `standing` are shared with other questions about how far something went.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
from ledger.projections.projection import standing_at
from ledger.projections.sanctions import SANCTIONS
from ledger.projections.sanctions import sanctions as table
from ledger.values.country import read_country

EVER = "9999-12-31"
"""Stands for an open last day, and for a question about no day in particular."""
ORDER = ("proposed", "promised", "agreed", "ordered", "refused", "done", "reversed")
"""Of steps on one day; what is further on comes later."""
COUNTING = (
    "a stage counts from the latest day on which a report lets it begin; "
    "`may_be` is the stage if each began on its earliest day instead; "
    "what is done stays done until it is reversed; "
    "`until` is the day from which a later stage counts; "
    "merged developments are listed one by one"
)
ASSUMPTIONS = ("reports that name the same target of one development are about the same measures",)


@dataclass(frozen=True, slots=True)
class Step:
    """What one report says was reached, and between which days it was."""

    said: str
    first: str
    """The earliest day, ISO; empty: open."""
    last: str
    """The latest day; `EVER`: open."""
    position: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds on a day."""

    state: str | None
    """None: nothing yet."""
    since: str | None
    until: str | None
    """The day from which something else holds; None: not known."""


Follow = Callable[[str | None, str], str | None]
"""What holds after a step, given what held before it."""


def step_of(row: Any, said: str) -> Step:
    """Return the step of a row with position, valid_from and valid_until."""
    return Step(said, row.valid_from or "", row.valid_until or EVER, row.position)


def standing(
    steps: Iterable[Step],
    day: str,
    follow: Follow,
    order: tuple[str, ...],
    *,
    earliest: bool = False,
) -> Standing:
    """Return what holds on the day if each step was on its latest day, or else its earliest."""
    dated = [(step.first if earliest else step.last, order.index(step.said)) for step in steps]
    state: str | None = None
    since: str | None = None
    for when, rank in sorted(dated):
        after = follow(state, order[rank])
        if after == state:
            continue
        if when > day:
            return Standing(state, _known(since), _known(when))
        state, since = after, when
    return Standing(state, _known(since), None)


def further(before: str | None, said: str) -> str | None:
    """Return the stage after one more step: the furthest; refused and reversed end a course."""
    if said == "refused":
        return before if before == "done" else said
    if before in (None, "refused", "reversed") or said == "reversed":
        return said
    return said if ORDER.index(said) > ORDER.index(before) else before


def known_by(steps: Iterable[Step], day: str) -> list[Step]:
    """Return the steps that may have been made by the day, by position."""
    return sorted((s for s in steps if s.first <= day), key=lambda step: step.position)


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
    courses: dict[tuple[str, str, str], list[Any]] = {}
    stream = stream_name(connection, development)
    for row in connection.execute(_query(code, stream, at)).all():
        target = row.target or f"a {row.target_kind}"
        courses.setdefault((row.stream, target.casefold(), row.way), []).append(row)
    rows = [_row(key, found, day or EVER) for key, found in sorted(courses.items())]
    return Answer(
        SANCTIONS.question,
        ("development", "target", "way", "stage", "from", "until", "may_be", "reached"),
        [row for row in rows if row["positions"]],
        given(state=code, development=stream, valid_at=day, as_of=at),
        COUNTING,
        ASSUMPTIONS,
    )


def _query(code: str | None, stream: str | None, as_of: int | None) -> sa.Select[Any]:
    """Return the reports; those of a development that is about the country anywhere."""
    query = sa.select(table).where(standing_at(table, as_of)).order_by(table.c.position)
    if stream is not None:
        query = query.where(table.c.stream == stream)
    if code is None:
        return query
    same = table.alias("same")
    about = sa.select(same.c.stream).where(standing_at(same, as_of), same.c.target_state == code)
    return query.where(table.c.stream.in_(about))


def _row(key: tuple[str, str, str], found: list[Any], day: str) -> Row:
    every = [step_of(row, row.stage) for row in found]
    steps = known_by(every, day)
    surely = standing(every, day, further, ORDER)
    perhaps = standing(every, day, further, ORDER, earliest=True)
    return {
        "development": key[0],
        "target": found[0].target or f"a {found[0].target_kind}",
        "target_state": next((row.target_state for row in found if row.target_state), None),
        "sender": ", ".join(sorted({row.sender for row in found})),
        "way": key[2],
        "measures": sorted({word for row in found for word in row.measures.split()}),
        "stage": surely.state,
        "from": surely.since,
        "until": surely.until,
        "may_be": perhaps.state if perhaps.state != surely.state else None,
        "reached": _reached(steps, day),
        "positions": [step.position for step in steps],
    }


def _reached(steps: list[Step], day: str) -> str:
    """Return each stage, the day from which it counts, and who says so."""
    parts = []
    for stage in ORDER:
        of_stage = [step for step in steps if step.said == stage]
        sure = [step for step in of_stage if step.last <= day]
        if of_stage:
            since = _known(min(step.last for step in sure)) if sure else None
            how = f"{stage} since {since}" if since else stage if sure else f"{stage} perhaps"
            parts.append(f"{how} (by {_positions(of_stage)})")
    return "; ".join(parts)


def _positions(steps: list[Step]) -> str:
    word = "position" if len(steps) == 1 else "positions"
    return f"{word} {', '.join(str(step.position) for step in steps)}"


def _known(day: str | None) -> str | None:
    return None if day in (None, "", EVER) else day
