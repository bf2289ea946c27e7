"""Folding a part of the ledger: all streams of one category between two names.

Takes an engine and a Part; hands on Folded: the rows, or where they differ from the live tables.
A part can be folded in any process; every part can be folded on its own.
"""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import attrgetter

import sqlalchemy as sa

from ledger.errors import UnreadableEvent
from ledger.events import RecordedEvent
from ledger.projections.answer_tables import EXAMPLES, AnswerTables, Drift, differences
from ledger.projections.digests import Sums, sums_of
from ledger.projections.projection import CannotApply, Fold, Projection, Rows
from ledger.store.connect import reading
from ledger.store.read import read_between, read_streams, stream_marks

EVENTS = 4_000
"""Events in a part, about; any number gives the same rows. More need more memory, not less time."""


@dataclass(frozen=True, slots=True)
class Part:
    """The streams of one category whose names lie in (after, until]; None: to the last."""

    category: str
    after: str
    until: str | None
    up_to: int
    """The last position that counts."""
    compare: bool
    """Whether to compare with the live tables, which hold what was so at that position."""
    projections: frozenset[str]
    """The names of those that it is folded for; all of them read the category."""


@dataclass(slots=True)
class Drifted:
    """Where the live tables of one projection differ from the events."""

    count: int = 0
    named: list[Drift] = field(default_factory=list)
    """The first of them."""
    streams: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Folded:
    """What folding a part gave."""

    events: int
    rows: Rows
    """By table; empty where they were compared."""
    counts: dict[str, int]
    """Rows by projection."""
    stalls: dict[str, CannotApply]
    """By projection."""
    drifted: dict[str, Drifted] = field(default_factory=dict)
    """By projection; those without a difference are left out."""
    sums: Sums = field(default_factory=dict)
    """Of the rows by table, for a digest; of streams that were folded by name there are none."""


def parts(
    connection: sa.Connection, projections: Sequence[Projection], up_to: int, *, compare: bool
) -> Iterator[Part]:
    """Yield the parts of each category in order of stream; together they leave no name out."""
    for category in sorted({projection.category for projection in projections}):
        names = frozenset(p.name for p in projections if p.category == category)
        after = ""
        for mark in stream_marks(connection, category, EVENTS):
            yield Part(category, after, mark, up_to, compare, names)
            after = mark
        yield Part(category, after, None, up_to, compare, names)


def fold_part(projections: Sequence[Projection], engine: sa.Engine, part: Part) -> Folded:
    """Fold the streams of a part for those of the projections that it names."""
    asked = [projection for projection in projections if projection.name in part.projections]
    which = part.category, part.after, part.until, part.up_to
    with (
        no_collections(),
        reading(engine) as connection,
        # Whatever happens: an open cursor would outlive its connection, and complain of that.
        closing(read_between(connection, *which)) as events,
    ):
        folded = fold_streams(asked, events)
        folded.sums = sums_of(folded.rows)
        if part.compare:
            for projection in asked:
                drifted = _compared(connection, projection, part, folded.rows)
                if drifted.count:
                    folded.drifted[projection.name] = drifted
            folded.rows = {}
    return folded


def fold_named(
    connection: sa.Connection, projections: Sequence[Projection], streams: Sequence[str], up_to: int
) -> Folded:
    """Fold the streams with these names, up to a position."""

    def events() -> Iterator[RecordedEvent]:
        yield from chain.from_iterable(
            read_streams(connection, streams, up_to, personal=False).values())

    return fold_streams(projections, events())


def fold_streams(
    projections: Sequence[Projection], events: Iterable[RecordedEvent]
) -> Folded:
    """Fold events that come stream by stream.

    Where one cannot be read (a later version recorded it, or it was changed) every projection stops
    there: nobody knows whom it concerns.
    """
    fold, count = Fold(projections), 0
    try:
        for stream, of_stream in groupby(events, key=attrgetter("stream")):
            own = list(of_stream)
            count += len(own)
            fold.take(stream, own)
    except UnreadableEvent as unreadable:
        fold.stall(projections, unreadable.position, unreadable)
    counts = {p.name: sum(len(fold.rows[table.name]) for table in p.tables) for p in projections}
    return Folded(count, fold.rows, counts, fold.stalls)


@contextmanager
def no_collections() -> Iterator[None]:
    """Look for no cycles of garbage meanwhile, in the whole process; also a decorator.

    A fold and an answer make none, and their many rows would set off a look at everything in the
    process: a third of the time of a fold, more than that of a large answer.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _compared(
    connection: sa.Connection, projection: Projection, part: Part, rebuilt: Rows
) -> Drifted:
    live = AnswerTables(projection).read(connection, part.after, part.until)
    drifted = Drifted()
    for drift in differences(projection, live, rebuilt):
        drifted.count += 1
        drifted.streams.add(drift.key["stream"])
        if drifted.count <= EXAMPLES:
            drifted.named.append(drift)
    return drifted
