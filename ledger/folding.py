"""Folding a part of the ledger: all streams of one category between two names.

Takes an engine and a Part; hands on Folded: the rows, or where they differ from the live tables.
A part can be folded in any process; every part can be folded on its own. It is read at once and
folded in pieces. Where it is only compared, a piece need not be folded if these entries were folded
before by this code, and the live rows are the ones that they gave: all three are compared by
digests, which are in the table `folds`.
"""

import gc
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, TypeVar

import sqlalchemy as sa

from ledger.encoding import decode
from ledger.errors import UnreadableEvent
from ledger.events import RecordedEvent
from ledger.marks import marks
from ledger.projections.answer_tables import EXAMPLES, AnswerTables, Drift, differences, sort
from ledger.projections.code import code_of
from ledger.projections.digests import Sums, digest_of_entries, digest_of_fold, sums_of
from ledger.projections.projection import CannotApply, Fold, Projection, Rows
from ledger.store.connect import reading
from ledger.store.folds import Folds, KnownFold, read_ends, read_folds
from ledger.store.read import Entry, entries_between, read_streams, stream_marks

EVENTS = 2_500
"""Events in a part, about; any number gives the same rows. More need more memory, not less time."""
PIECE = 60
"""Events in a piece, about. The fewer, the more has to be kept; the more, the more is folded for
a new one: a thousand reports all over a million events have a sixteenth of them folded."""

_LAST = chr(0x10FFFF)
"""Comes after every name."""
Cut = TypeVar("Cut", bound=Sequence[Any])


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
    ends: tuple[str, ...] = ()
    """Where pieces of it ended before."""

    @property
    def start(self) -> str:
        """The name behind which its streams begin; rows that are no stream's may come before."""
        return max(self.after, f"{self.category}/")

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

    def add(self, other: "Drifted") -> None:
        """Take in where they differ elsewhere."""
        self.count += other.count
        self.named += other.named[: EXAMPLES - len(self.named)]
        self.streams |= other.streams


@dataclass(slots=True)
class Folded:
    """What folding some streams gave."""

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
    learned: dict[str, list[KnownFold]] = field(default_factory=dict)
    """By projection: what need not be folded next time, and was not known."""
    recalled: dict[str, int] = field(default_factory=dict)
    """By projection: events of which it was known what they give, and which were not folded."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some streams of a part that follow each other: what is folded, or known, at once."""

    end: str
    entries: list[Entry]
    live: dict[str, Rows]
    """By projection; empty where nothing is compared."""


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


def parts(
    connection: sa.Connection,
    projections: Sequence[Projection],
    up_to: int,
    *,
    compare: bool,
    anew: bool = False,
) -> Iterator[Part]:
    """Yield the parts of each category in order of stream; together they leave no name out."""
    ends = _known_ends(connection, anew)
    for category in sorted({projection.category for projection in projections}):
        names = frozenset(p.name for p in projections if p.category == category)
        after = ""
        for mark in (*stream_marks(connection, category, EVENTS, ends), None):
            part = Part(category, after, mark, up_to, compare, names, anew)
            first, last = bisect_right(ends, part.start), bisect_left(ends, part.end)
            yield replace(part, ends=tuple(ends[first:last]))
            after = part.end


@no_collections()  # from the outside: what was read is gone before they begin again
def fold_part(projections: Sequence[Projection], engine: sa.Engine, part: Part) -> Folded:
    """Fold the streams of a part for those of the projections that it names."""
    asked = [projection for projection in projections if projection.name in part.projections]
    with reading(engine) as connection:
        entries = entries_between(connection, part.category, part.after, part.until, part.up_to)
        live = _live(connection, asked, part) if part.compare else {}
        is_asked = part.compare and not part.anew
        known = read_folds(connection, live, part.after, part.end) if is_asked else {}
    pieces = _pieces(part, entries, live)
    return _together(asked, (_fold_piece(asked, piece, known) for piece in pieces))


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


def _known_ends(connection: sa.Connection, anew: bool) -> list[str]:
    """Return where pieces ended before, of whichever projection, so that all have the same ends."""
    try:
        return read_ends(connection)
    except sa.exc.OperationalError as unreadable:
        if anew and "decode" in str(unreadable):  # SQLite can hold what is no text
            return []  # a rebuild takes it away
        raise


def _live(
    connection: sa.Connection, projections: Iterable[Projection], part: Part
) -> dict[str, Rows]:
    return {p.name: AnswerTables(p).read(connection, part.after, part.until) for p in projections}


def _pieces(part: Part, entries: list[Entry], live: Mapping[str, Rows]) -> Iterator[_Piece]:
    """Yield the pieces of a part, in order; each entry and each live row is in one of them."""
    streams = [stream for stream, _, _ in entries]

    def further(mark: str, many: int) -> str | None:
        at = bisect_right(streams, mark) + many - 1
        return streams[at] if at < len(streams) else None

    ends = [*marks(part.start, part.end, PIECE, part.ends, further), part.end]
    of_rows = {
        name: {table: _cut(rows, ends) for table, rows in tables.items()}
        for name, tables in live.items()
    }
    for at, (end, some) in enumerate(zip(ends, _cut(entries, ends), strict=True)):
        yield _Piece(end, some, {
            name: {table: cut[at] for table, cut in tables.items()}
            for name, tables in of_rows.items()
        })


def _cut(rows: list[Cut], ends: Sequence[str]) -> list[list[Cut]]:
    """Return the rows up to each end, of which the last one has all that are left.

    They come in order of their first value, which is a stream.
    """
    found, start = [], 0
    for end in ends[:-1]:
        stop = bisect_right(rows, end, start, key=_stream)
        found.append(rows[start:stop])
        start = stop
    return [*found, rows[start:]]


def _stream(row: Sequence[Any]) -> str:
    """Return a name to go by, also where somebody put there what is none."""
    name = row[0]
    return name if isinstance(name, str) else "" if name is None else _LAST


def _fold_piece(projections: Sequence[Projection], piece: _Piece, known: Folds) -> Folded:
    """Fold a piece for those projections of which it is not known what they give."""
    digest = digest_of_entries(piece.entries)
    before = {
        p.name: fold for p in projections
        if (fold := known.get((p.name, piece.end))) and _is_as_before(p, fold, digest, piece.live)
    }
    others = [projection for projection in projections if projection.name not in before]
    folded = fold_streams(others, (decode(at, raw, None) for _, at, raw in piece.entries if others))
    folded.events = len(piece.entries)
    for projection in others:
        try:
            _settle(projection, piece, digest, folded)
        except (TypeError, ValueError, OverflowError) as cause:
            if projection.name not in folded.stalls:
                folded.stalls[projection.name] = _unsettled(projection, piece, cause)
            folded.rows.update({table.name: [] for table in projection.tables})
    for name, fold in before.items():
        _recall(fold, piece.live[name], folded)
    if piece.live:
        folded.rows = {}
    return folded


def _is_as_before(
    projection: Projection, known: KnownFold, entries: str, live: Mapping[str, Rows]
) -> bool:
    """Return whether the live rows are those that this code gave for these entries."""
    rows, code = live[projection.name], code_of(projection)
    if code is None or known.sums.keys() != rows.keys():
        return False
    try:
        return digest_of_fold(projection, code, entries, rows, known.sums) == known.digest
    except ValueError:
        return False


def _settle(projection: Projection, piece: _Piece, entries: str, folded: Folded) -> None:
    """Put the rows in order, add them up, and note what is known now and what the live rows are.

    Raises what Python raises for values that no table holds, as in an entry that was changed.
    """
    name, code, rows = projection.name, code_of(projection), folded.rows
    sort(projection, rows)
    sums = sums_of({table.name: rows[table.name] for table in projection.tables})
    if piece.live:
        _compare(projection, piece.live[name], folded)
    folded.sums.update(sums)
    if code is not None and name not in folded.stalls:
        digest = digest_of_fold(projection, code, entries, rows, sums)
        folded.learned[name] = [KnownFold(name, piece.end, digest, sums)]


def _unsettled(projection: Projection, piece: _Piece, cause: Exception) -> CannotApply:
    """Return at which event the rows begin to be such that they cannot be settled."""

    def fails(many: int) -> bool:
        some = replace(piece, entries=piece.entries[:many])
        events = (decode(at, raw, None) for _, at, raw in some.entries)
        try:
            _settle(projection, some, "", fold_streams([projection], events))
        except (TypeError, ValueError, OverflowError):
            return True
        return False

    many = bisect_left(range(len(piece.entries)), True, key=fails)
    return CannotApply(projection.name, piece.entries[many - 1][1], cause)


def _recall(known: KnownFold, live: Rows, folded: Folded) -> None:
    """Add what need not be folded."""
    folded.recalled[known.projection] = folded.events
    folded.counts[known.projection] = sum(map(len, live.values()))
    folded.sums.update(known.sums)


def _compare(projection: Projection, live: Rows, folded: Folded) -> None:
    """Note where the live rows are others than those that were folded."""
    drifted = Drifted()
    for drift in differences(projection, live, folded.rows):
        drifted.count += 1
        drifted.streams.add(drift.key["stream"])
        if drifted.count <= EXAMPLES:
            drifted.named.append(drift)
    if drifted.count:
        folded.drifted[projection.name] = drifted


def _together(projections: Sequence[Projection], pieces: Iterable[Folded]) -> Folded:
    """Return what the pieces of a part gave, as one."""
    whole = Folded(0, {}, {p.name: 0 for p in projections}, {})
    for piece in pieces:
        whole.events += piece.events
        for table, rows in piece.rows.items():
            whole.rows.setdefault(table, []).extend(rows)
        for counts, more in (
            (whole.counts, piece.counts), (whole.sums, piece.sums), (whole.recalled, piece.recalled)
        ):
            for name, number in more.items():
                counts[name] = counts.get(name, 0) + number
        for name, stall in piece.stalls.items():
            known = whole.stalls.get(name)
            if known is None or stall.position < known.position:
                whole.stalls[name] = stall
        for name, drifted in piece.drifted.items():
            whole.drifted.setdefault(name, Drifted()).add(drifted)
        for name, learned in piece.learned.items():
            whole.learned.setdefault(name, []).extend(learned)
    return whole
