"""Rebuilding and catching up: answer tables folded from the events, while people read them.

Takes the recorded events (from `store`) and projections; hands on filled answer tables, checkpoints
and Runs. A rebuild reads every stream for all projections at once, folds those parts of the log
that were not folded before, and compares the rows with the live tables. Then it catches up, and
whatever streams differed (drift) are taken in again in the same way. Tables that are not there or
not whole, or are another version's, are filled on the side and put in place.

Rows and checkpoint commit together. A reader sees the tables before or after, never between. A
crash at any point leaves the old tables serving, and the next rebuild begins clean.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial

import sqlalchemy as sa

from ledger.errors import CouldNot
from ledger.folding import EVENTS, Folded, fold_named, fold_part, parts
from ledger.processes import AHEAD, in_order
from ledger.projections.answer_tables import EXAMPLES, AnswerTables, put_in_place
from ledger.projections.digests import sums_of
from ledger.projections.projection import Projection
from ledger.run import Run
from ledger.store.append import Clock, format_time
from ledger.store.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from ledger.store.connect import changing, reading
from ledger.store.folds import KnownFold, forget_folds, write_folds
from ledger.store.locks import Check, alone
from ledger.store.read import changed_streams, read_head
from ledger.store.runs import write_run

STREAMS = 500
"""Streams that are taken in together; any number gives the same tables."""
WORTH_PROCESSES = 50_000
"""Events from which on starting worker processes saves more time than it costs."""
AHEAD_COMPARING = 20
"""Parts that each worker may be ahead where nothing is written: what comes of them is small, and a
known one takes a tenth of the time of another."""
LEARNED = 10_000
"""Folds of pieces that are held in memory, at most, before they are kept."""
MENDED_IN_PLACE = 10_000
"""Streams that differ, at most, where the live tables are mended; beyond, they are made anew."""


OnProgress = Callable[[int, int | None], object]
"""Is told how many events were folded in this pass; of how many is not known (None)."""


def rebuild(
    engine: sa.Engine,
    projection: Projection,
    clock: Clock,
    *,
    holder: str = "another process",
    check: bool = False,
    anew: bool = False,
    workers: int = 1,
    on_progress: OnProgress = lambda done, of: None,
) -> Run:
    """Rebuild one projection; see `rebuild_all`."""
    (run,) = rebuild_all(
        engine, [projection], clock,
        holder=holder, check=check, anew=anew, workers=workers, on_progress=on_progress,
    )
    return run


def rebuild_all(
    engine: sa.Engine,
    projections: Sequence[Projection],
    clock: Clock,
    *,
    holder: str = "another process",
    check: bool = False,
    anew: bool = False,
    workers: int = 1,
    on_progress: OnProgress = lambda done, of: None,
) -> list[Run]:
    """Compare the live tables with what all events from the first one give, and mend them.

    Every event is read once for all of them; a long log by so many worker processes. Where the
    same entries were folded before by the same code, and the live rows are those that they gave,
    they are not folded once more, unless `anew`; all three are told by their digests. With `check`
    the live tables are left alone. Raises CouldNot at once where another process is at
    one of them, and where there are no tables to check, or their checkpoint lies beyond the log;
    and on the way where a lock is lost, before anything is put in place.
    """
    how = "check" if check else "rebuild"
    with ExitStack() as locks:
        checks = [locks.enter_context(alone(engine, p.name, holder)) for p in projections]
        works = [
            _Work(p, Run(p.name, how, format_time(clock()), sums={}), check_lock)
            for p, check_lock in zip(projections, checks, strict=True)
        ]
        head = _head(engine)
        for work in works:
            _look(engine, work)
            if check and work.served is None:
                why = "its tables are not all there; `ledger projections rebuild` builds them"
                raise CouldNot(f"check {work.projection.name}", why)
            if work.run.position > head:
                if check:
                    raise _beyond(work, head)
                work.served = None  # nobody knows what the tables hold: they are made anew
        several = workers if head >= WORTH_PROCESSES else 1
        folding = _Folding(engine, projections, several, anew, on_progress)
        if anew and not check:
            with _changing(engine, works) as connection:
                for work in works:
                    forget_folds(connection, work.projection.name)
        _compare(folding, works)
        if not check:
            for work in [work for work in works if not work.is_made_anew]:
                _advance(engine, work, head)
            _fill(folding, [work for work in works if work.is_made_anew], head)
        for work in works:
            with _changing(engine, [work]) as connection:
                if not check:
                    _finish(connection, work)
                    work.keep(connection)
                _remember(connection, work.run, clock)
    return [work.run for work in works]


def catch_up(
    engine: sa.Engine, projection: Projection, clock: Clock, *, holder: str = "another process"
) -> Run:
    """Fold the streams that changed since the checkpoint; a projection never built is rebuilt.

    Costs what the changed streams hold, however long the log is. Raises CouldNot where another
    process is at it, and where the checkpoint lies beyond the log.
    """
    run = Run(projection.name, "catch_up", format_time(clock()))
    with alone(engine, projection.name, holder) as check_lock:
        work = _Work(projection, run, check_lock)
        head = _head(engine)
        _advance(engine, work, head)
        if work.run.position > head:
            raise _beyond(work, head)
        if work.served is not None:
            with _changing(engine, [work]) as connection:
                _remember(connection, run, clock)
            return run
    return rebuild(engine, projection, clock, holder=holder)


@dataclass(slots=True)
class _Work:
    """A projection that is being rebuilt or caught up."""

    projection: Projection
    run: Run
    check_lock: Check
    served: Checkpoint | None = None
    """Of the live tables; None where there are none of this version."""
    is_whole: bool = True
    """Whether they have their keys and indexes."""
    drifted: set[str] = field(default_factory=set)
    """Streams whose live rows are not what the events say."""
    learned: list[KnownFold] = field(default_factory=list)
    """What folding pieces gave that was not known, and is not kept yet."""

    @property
    def live(self) -> AnswerTables:
        """The tables that answers read."""
        return AnswerTables(self.projection)

    @property
    def side(self) -> AnswerTables:
        """The tables beside them."""
        return AnswerTables(self.projection, side=True)

    @property
    def is_made_anew(self) -> bool:
        """Whether the tables are filled on the side and put in place."""
        if self.served is None or not self.is_whole or len(self.drifted) > MENDED_IN_PLACE:
            return True
        return not all(isinstance(stream, str) for stream in self.drifted)  # no event's, then

    def stalled_before(self, position: int) -> bool:
        """Whether an event up to that position could not be applied."""
        return self.run.stalled_at is not None and self.run.stalled_at <= position

    def heed(self, folded: Folded) -> None:
        """Add what folding some streams gave."""
        name, run = self.projection.name, self.run
        if name not in folded.counts:
            return
        run.events += folded.events
        run.folded += folded.events - folded.recalled.get(name, 0)
        if run.how != "check":  # which writes nothing
            self.learned += folded.learned.get(name, ())
        run.rows += folded.counts[name]
        run.add({table.name: folded.sums.get(table.name, 0) for table in self.projection.tables})
        stop = folded.stalls.get(name)
        if stop and (run.stalled_at is None or stop.position < run.stalled_at):
            run.stalled_at, run.cause = stop.position, stop.cause
        if drifted := folded.drifted.get(name):
            run.drift += drifted.count
            run.drifts += drifted.named[: EXAMPLES - len(run.drifts)]
            self.drifted |= drifted.streams

    def keep(self, connection: sa.Connection) -> None:
        """Keep what was learned; it is true whatever becomes of this rebuild."""
        write_folds(connection, self.learned)
        self.learned = []


@contextmanager
def _changing(engine: sa.Engine, works: Iterable[_Work]) -> Iterator[sa.Connection]:
    """Open a transaction that writes for these; raises CouldNot where one is no longer ours."""
    with changing(engine) as connection:
        for work in works:
            work.check_lock()
        yield connection


def _head(engine: sa.Engine) -> int:
    with reading(engine) as connection:
        return read_head(connection).size


def _look(engine: sa.Engine, work: _Work) -> None:
    """Say how far the live tables are, and whether they are as they were made."""
    with reading(engine) as connection:
        if _find(connection, work) and not work.live.have_columns(connection):
            work.served = None
        work.is_whole = work.served is not None and work.live.have_keys(connection)


def _find(connection: sa.Connection, work: _Work) -> Checkpoint | None:
    """Return how far the live tables are, and keep it; None where they are not there."""
    served = read_checkpoint(connection, work.projection.name, work.projection.version)
    work.served = served if work.live.exist(connection) else None
    if work.served is not None:
        work.run.position = work.served.position
    return work.served


def _advance(engine: sa.Engine, work: _Work, head: int) -> None:
    """Bring the live tables to that head, some events at a time, and say how far they are."""
    while True:
        with _changing(engine, [work]) as connection:
            served = _find(connection, work)
            if served is None or served.position >= head or work.run.stalled_at is not None:
                return
            up_to = min(head, served.position + EVENTS)
            _take_in(connection, work, work.live, served.position, up_to)
            _write_checkpoint(connection, work, served.rebuilt_at)


def _beyond(work: _Work, head: int) -> CouldNot:
    """Return the refusal of a checkpoint that nothing recorded can have led to."""
    name, position = work.projection.name, work.run.position
    why = f"its checkpoint is at position {position:,}, the ledger has {head:,} events"
    return CouldNot(f"go on with {name}", f"{why}; `ledger projections rebuild {name}` mends it")


@dataclass(frozen=True, slots=True)
class _Folding:
    """How streams are folded for the projections: by how many processes, and who is told."""

    engine: sa.Engine
    projections: Sequence[Projection]
    workers: int
    anew: bool
    on_progress: OnProgress

    def every_part(self, works: Sequence[_Work], up_to: int, *, compare: bool) -> Iterator[Folded]:
        """Yield what folding gives, part by part, for these projections up to a position."""
        with reading(self.engine) as connection:
            asked = [work.projection for work in works]
            every = list(parts(connection, asked, up_to, compare=compare, anew=self.anew))
        fold = partial(fold_part, tuple(self.projections))
        # Who compares has nothing to write meanwhile, and so can fold as well.
        ahead = AHEAD_COMPARING if compare else AHEAD
        folding = in_order(self.engine, fold, every, self.workers, here=compare, ahead=ahead)
        with closing(folding) as folded_parts:
            done = 0
            for folded in folded_parts:
                for work in works:
                    work.heed(folded)
                yield folded
                if sum(len(work.learned) for work in works) > LEARNED:
                    with _changing(self.engine, works) as connection:
                        for work in works:
                            work.keep(connection)
                done += folded.events
                self.on_progress(done, None)


def _compare(folding: _Folding, works: Sequence[_Work]) -> None:
    """Fold up to each checkpoint and note where the live tables differ; one pass a position."""
    at: dict[int, list[_Work]] = {}
    for work in works:
        if work.served is not None:
            at.setdefault(work.served.position, []).append(work)
    for position, together in at.items():
        for _ in folding.every_part(together, position, compare=True):
            pass
    for work in works:
        if work.stalled_before(work.run.position):  # then it cannot say what should be there
            work.run.drift, work.run.drifts, work.drifted = 0, [], set()


def _fill(folding: _Folding, works: Sequence[_Work], head: int) -> None:
    """Fold every stream into tables on the side, up to the head or the first stall."""
    _fill_up_to(folding, works, head)
    for work in works:
        while work.stalled_before(work.run.position):
            assert work.run.stalled_at is not None
            _fill_up_to(folding, [work], work.run.stalled_at - 1)


def _fill_up_to(folding: _Folding, works: Sequence[_Work], position: int) -> None:
    """Reads and writes in turns: no transaction is long, and appends go on in between."""
    if not works:
        return
    with _changing(folding.engine, works) as connection:
        for work in works:
            work.side.make(connection)
            work.run.position, work.run.sums = position, {}
            work.run.events = work.run.folded = work.run.rows = 0
    for folded in folding.every_part(works, position, compare=False):
        with _changing(folding.engine, works) as connection:
            for work in works:
                if work.projection.name in folded.counts:
                    work.side.write(connection, folded.rows)


def _finish(connection: sa.Connection, work: _Work) -> None:
    """Bring the tables to the head and make the live ones say what the events say."""
    served = work.served
    if served is None or work.is_made_anew:
        if work.run.stalled_at is None:
            head = read_head(connection).size
            _take_in(connection, work, work.side, work.run.position, head)
        put_in_place(connection, work.live, work.side)
    else:
        work.side.drop(connection)  # what a crash may have left
        if work.stalled_before(served.position):  # serve what there is
            _write_checkpoint(connection, work, served.rebuilt_at)
            return
        stalled = work.run.stalled_at is not None
        up_to = served.position if stalled else read_head(connection).size
        _take_in(connection, work, work.live, served.position, up_to, work.drifted)
    _write_checkpoint(connection, work, work.run.started_at)


def _take_in(
    connection: sa.Connection,
    work: _Work,
    into: AnswerTables,
    after: int,
    up_to: int,
    also: Iterable[str] = (),
) -> None:
    """Fold the streams that changed after a position anew, up to another; set the run's position.

    Where an event cannot be applied, everything before it is taken in and the run is stalled there.
    """
    projection, run = work.projection, work.run
    names = sorted({*changed_streams(connection, projection.category, after, up_to), *also})
    counted = run.events, run.folded, run.rows, run.sums and {**run.sums}
    with connection.begin_nested() as savepoint:
        for start in range(0, len(names), STREAMS):
            some = names[start : start + STREAMS]
            folded = fold_named(connection, [projection], some, up_to)
            work.heed(folded)
            if run.sums is not None:  # it has what these streams said before
                before = fold_named(connection, [projection], some, after)
                run.add(sums_of(folded.rows), less=sums_of(before.rows))
                run.events -= before.events
                run.folded -= before.events
                run.rows -= before.counts[projection.name]
            into.forget(connection, some)
            into.write(connection, folded.rows)
        if work.stalled_before(up_to):
            savepoint.rollback()
            run.events, run.folded, run.rows, run.sums = counted
    if work.stalled_before(up_to):
        assert run.stalled_at is not None
        _take_in(connection, work, into, after, run.stalled_at - 1, also)
        return
    run.position = up_to


def _write_checkpoint(connection: sa.Connection, work: _Work, rebuilt_at: str) -> None:
    """In the transaction of the rows."""
    run, projection = work.run, work.projection
    checkpoint = Checkpoint(run.position, rebuilt_at, run.stalled_at, run.cause)
    write_checkpoint(connection, projection.name, projection.version, checkpoint)


def _remember(connection: sa.Connection, run: Run, clock: Clock) -> None:
    run.ended_at = format_time(clock())
    write_run(connection, run.record())
