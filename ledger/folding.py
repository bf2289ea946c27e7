"""Folding a part of the ledger: all streams of one category between two names.

Takes an engine and a Part; hands on Folded: the rows, or where they differ from the live tables.
A part can be folded in any process; every part can be folded on its own. Where it is only compared,
it need not be folded if these entries were folded before by this code, and the live rows are the
ones that they gave: all three are compared by digests, which are in the table `folds`.
"""

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import attrgetter

import sqlalchemy as sa

from ledger.encoding import decode
from ledger.errors import UnreadableEvent
from ledger.events import RecordedEvent
from ledger.projections.answer_tables import EXAMPLES, AnswerTables, Drift, differences, sort
from ledger.projections.code import code_of
from ledger.projections.digests import Sums, digest_of_entries, digest_of_rows, sums_of
from ledger.projections.projection import CannotApply, Fold, Projection, Rows
from ledger.store.connect import reading
from ledger.store.folds import KnownFold, read_folds, read_marks
from ledger.store.read import entries_between, read_streams, stream_marks

EVENTS = 2_500
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
    anew: bool = False
    """Whether to fold it also where it was folded before."""

    @property
    def end(self) -> str:
        """The name up to which it goes: that of its last stream, or one behind the category."""
        return f"{self.category}0" if self.until is None else self.until


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
    """How many were read."""
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
    known: dict[str, KnownFold] = field(default_factory=dict)
    """By projection: what need not be folded next time."""
    recalled: set[str] = field(default_factory=set)
    """The projections for which it was not folded this time."""


def parts(
    connection: sa.Connection,
    projections: Sequence[Projection],
    up_to: int,
    *,
    compare: bool,
    anew: bool = False,
) -> Iterator[Part]:
    """Yield the parts of each category in order of stream; together they leave no name out."""
    for category in sorted({projection.category for projection in projections}):
        names = frozenset(p.name for p in projections if p.category == category)
        after = ""
        known = () if anew else read_marks(connection, names)
        for mark in stream_marks(connection, category, EVENTS, known):
            yield Part(category, after, mark, up_to, compare, names, anew)
            after = mark
        yield Part(category, after, None, up_to, compare, names, anew)


def fold_part(projections: Sequence[Projection], engine: sa.Engine, part: Part) -> Folded:
    """Fold the streams of a part for those of the projections that it names."""
    asked = [projection for projection in projections if projection.name in part.projections]
    with no_collections():
        with reading(engine) as connection:
            entries = entries_between(connection, part.category, part.after, part.until, part.up_to)
            live = _live(connection, asked, part) if part.compare else {}
            known = {} if part.anew or not live else read_folds(connection, live, part.end)
        digest = digest_of_entries(entries)
        same = [p for p in asked if _is_as_before(p, known.get(p.name), digest, live)]
        others = [projection for projection in asked if projection not in same]
        folded = fold_streams(others, (decode(*one, None) for one in entries if others))
        folded.events = len(entries)
        for projection in others:
            sort(projection, folded.rows)
        folded.sums = sums_of(folded.rows)
        folded.known = {fold.projection: fold for fold in _learned(others, part, digest, folded)}
        if part.compare:
            _compare(others, live, folded)
    for projection in same:
        _recall(known[projection.name], live[projection.name], folded)
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


def _live(
    connection: sa.Connection, projections: Iterable[Projection], part: Part
) -> dict[str, Rows]:
    return {p.name: AnswerTables(p).read(connection, part.after, part.until) for p in projections}


def _is_as_before(
    projection: Projection, known: KnownFold | None, entries: str, live: Mapping[str, Rows]
) -> bool:
    """Return whether the live rows are those that this code gave for these entries."""
    if known is None or (known.entries, known.code) != (entries, code_of(projection)):
        return False
    if known.sums.keys() != live[projection.name].keys():
        return False
    try:
        return digest_of_rows(projection, live[projection.name], known.sums) == known.rows
    except ValueError:
        return False


def _learned(
    projections: Iterable[Projection], part: Part, entries: str, folded: Folded
) -> Iterator[KnownFold]:
    """Yield what is known now of those that did not stall and are all of this package."""
    for projection in projections:
        name, code = projection.name, code_of(projection)
        if code is not None and name not in folded.stalls:
            sums = {table.name: folded.sums[table.name] for table in projection.tables}
            rows = digest_of_rows(projection, folded.rows, sums)
            yield KnownFold(name, part.end, code, entries, rows, sums)


def _recall(known: KnownFold, live: Rows, folded: Folded) -> None:
    """Add what need not be folded."""
    folded.recalled.add(known.projection)
    folded.known[known.projection] = known
    folded.counts[known.projection] = sum(map(len, live.values()))
    folded.sums.update(known.sums)


def _compare(
    projections: Iterable[Projection], live: Mapping[str, Rows], folded: Folded
) -> None:
    """Note where the live rows are others than those that were folded, and let go of these."""
    for projection in projections:
        drifted = Drifted()
        for drift in differences(projection, live[projection.name], folded.rows):
            drifted.count += 1
            drifted.streams.add(drift.key["stream"])
            if drifted.count <= EXAMPLES:
                drifted.named.append(drift)
        if drifted.count:
            folded.drifted[projection.name] = drifted
    folded.rows = {}
