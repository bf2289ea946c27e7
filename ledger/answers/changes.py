"""What changed between two points of the record, and through which events.

Takes two positions; hands on the rows of answer tables that stood otherwise at the one than at the
other, the rows of answers that differ because of them, and the events behind each question. Reads
answer tables only: each row carries the positions between which it stood.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger.answers.answer import Answer, Row
from ledger.answers.asking import ask, check_taken_in
from ledger.answers.registry import QUESTIONS, Question
from ledger.errors import BadValue, NotFound
from ledger.projections.projection import Projection, standing_at
from ledger.projections.registry import PROJECTIONS
from ledger.store.checkpoints import read_checkpoint

ANY_OTHER = "any other"
"""Stands for every citizenship that has no row."""
Key = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One row of an answer table before and after."""

    projection: str
    table: str
    stream: str
    key: Row
    before: Row | None
    """None: there was no such row."""
    after: Row | None
    """None: there is no such row any more."""
    positions: tuple[int, ...]
    """The events between the two points that changed it."""


@dataclass(frozen=True, slots=True)
class AnswerChange:
    """One row of an answer before and after, its total, or what is left for any other."""

    question: str
    parameters: Row
    """With which it was asked, such as by what; not the position."""
    key: Row
    """Empty: the total."""
    before: Row | None
    """None: the answer had no such row."""
    after: Row | None
    """None: it has no such row any more."""


def changes(connection: sa.Connection, start: int, end: int) -> list[Change]:
    """Return the rows that stand otherwise after position `end` than after position `start`.

    Projections that were never built have no rows to change. Raises BadValue where the end lies
    before the start, NotFound where none was ever built, and CouldNot where one has not taken in
    the end. Costs what the tables hold of rows that began or ended between the two.
    """
    if start > end:
        raise BadValue(f"from {start} to {end}", "the earlier position first")
    found: list[Change] = []
    for projection in built(connection):
        check_taken_in(connection, [projection], end)
        for table in projection.tables:
            found += _changes(connection, projection, table, start, end)
    return found


def answer_changes(
    connection: sa.Connection, start: int, end: int, found: Iterable[Change]
) -> list[AnswerChange]:
    """Return the rows of answers that differ as of `start` and as of `end`.

    `found` are the `changes` between the two: a question none of whose projections is among them is
    not asked, nor is one that has a projection that was never built. The others cost two answers
    each, over everything on record (`releases` four), however few rows changed: all of them take
    some 3 s over 100,000 events, most of it for `coded_events`. Raises what `ask` does.
    """
    touched = {change.projection for change in found}
    there = {projection.name for projection in built(connection)} if touched else set()
    differing: list[AnswerChange] = []
    for question in QUESTIONS:
        behind_it = {projection.name for projection in question.projections}
        if behind_it & touched and behind_it <= there:
            for parameters in question.compared:
                before, after = (
                    ask(connection, question, **parameters, as_of=at) for at in (start, end)
                )
                differing += _differing(question, parameters, before, after)
    return differing


def events_behind(found: Iterable[Change]) -> dict[str, tuple[int, ...]]:
    """Return, by question, the positions of the events that changed rows which its answer reads.

    `found` are the `changes`; questions without any are left out. An event among these may be
    behind no difference, as when a second report says the same; one that is not is behind none.
    """
    by_projection: dict[str, set[int]] = {}
    for change in found:
        by_projection.setdefault(change.projection, set()).update(change.positions)
    behind = {
        question.name: set().union(*(by_projection.get(p.name, ()) for p in question.projections))
        for question in QUESTIONS
    }
    return {name: tuple(sorted(positions)) for name, positions in behind.items() if positions}


def _differing(
    question: Question, parameters: Row, before: Answer, after: Answer
) -> Iterator[AnswerChange]:
    """Yield what differs: rows in the order of the later answer, those it lacks, then totals."""
    for parts_of in (_rows, _totals):
        was, now = parts_of(question, before), parts_of(question, after)
        for key in dict.fromkeys([*now, *was]):
            if was.get(key) != now.get(key):
                yield AnswerChange(
                    question.name, parameters, dict(key), was.get(key), now.get(key)
                )


def _rows(question: Question, answer: Answer) -> dict[Key, Row]:
    aside = {*question.key, *question.not_compared}
    found = {}
    for row in answer:
        key = tuple((name, row[name]) for name in question.key if name in row)
        found[key] = {name: value for name, value in row.items() if name not in aside}
    return found


def _totals(_: Question, answer: Answer) -> dict[Key, Row]:
    found: dict[Key, Row] = {(): answer.total} if answer.total else {}
    if other := answer.further.get("any_other_citizenship"):
        found[(("citizenship", ANY_OTHER),)] = other
    return found


def built(connection: sa.Connection) -> list[Projection]:
    """Return the projections that have answer tables; raises NotFound where there are none."""
    found = [
        projection for projection in PROJECTIONS
        if read_checkpoint(connection, projection.name, projection.version) is not None
    ]
    if not found:
        raise NotFound("any answer table", "`ledger projections rebuild` builds them")
    return found


def _changes(
    connection: sa.Connection, projection: Projection, table: sa.Table, start: int, end: int
) -> Iterator[Change]:
    began = table.c.position_from.between(start + 1, end)
    ended = table.c.position_until.between(start + 1, end)
    touched = list(connection.execute(sa.select(table).where(began | ended)).mappings())
    before = _standing(connection, table, start, touched)
    after = _standing(connection, table, end, touched)
    positions: dict[tuple[Any, ...], set[int]] = {}
    for row in touched:
        at = positions.setdefault(_key(table, row), set())
        at |= {p for p in (row["position_from"], row["position_until"])
               if p is not None and start < p <= end}
    for key, at in sorted(positions.items()):
        if before.get(key) != after.get(key):
            named = dict(zip(_key_names(table), key, strict=True))
            stream = named.pop("stream")
            yield Change(projection.name, table.name, stream, named, before.get(key),
                         after.get(key), tuple(sorted(at)))


def _standing(
    connection: sa.Connection, table: sa.Table, position: int, touched: list[Any]
) -> dict[tuple[Any, ...], Row]:
    """Return the rows of the touched streams that stood at the position, without key and time."""
    streams = sorted({row["stream"] for row in touched})
    aside = {*_key_names(table), "position_from", "position_until"}
    found = {}
    for first in range(0, len(streams), 500):
        some = table.c.stream.in_(streams[first : first + 500])
        query = sa.select(table).where(some, standing_at(table, position))
        for row in connection.execute(query).mappings():
            values = {str(name): value for name, value in row.items() if name not in aside}
            found[_key(table, row)] = values
    return found


def _key_names(table: sa.Table) -> list[str]:
    return [str(column.name) for column in table.primary_key if column.name != "position_from"]


def _key(table: sa.Table, row: Any) -> tuple[Any, ...]:
    return tuple(row[name] for name in _key_names(table))
