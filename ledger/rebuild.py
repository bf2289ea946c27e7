"""Rebuilding and catching up: answer tables folded from the events, while people read them.

Takes the recorded events (from `store`) and projections; hands on filled answer tables, checkpoints
and Runs. A rebuild reads every stream for all projections at once, folds those pieces of the log
that were not folded before, and compares the rows with the live tables. Then it catches up, and
whatever streams differed (drift) are taken in again in the same way. Tables that are not there or
not whole, or are another version's, are filled on the side and put in place.

Rows and checkpoint commit together. A reader sees the tables before or after, never between. A
crash at any point leaves the old tables serving, and the next rebuild begins clean.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from ledger.errors import CouldNot
from ledger.folding import EVENTS, Folded, fold_named, fold_part, parts
from ledger.processes import AHEAD, in_order
from ledger.projections.answer_tables import AnswerTables, put_in_place
from ledger.projections.digests import sums_of
from ledger.projections.projection import Projection
from ledger.run import Run
from ledger.store.append import Clock, format_time
from ledger.store.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from ledger.store.connect import reading
from ledger.store.folds import forget_folds
from ledger.store.locks import alone
from ledger.store.read import changed_streams, read_head
from ledger.store.runs import write_run
from ledger.work import Work, changing_for

STREAMS = 500
"""Streams that are taken in together; any number gives the same tables."""
WORTH_PROCESSES = 50_000
"""Events from which on starting worker processes saves more time than it costs."""
AHEAD_COMPARING = 20
"""Parts that each worker may be ahead where nothing is written: what comes of them is small, and a
known one takes a tenth of the time of another."""
LEARNED = 10_000
"""Folds of pieces that are held in memory, at most, before they are kept."""


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
            Work(p, Run(p.name, how, format_time(clock()), sums={}), check_lock)
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
            with changing_for(engine, works) as connection:
                for work in works:
                    forget_folds(connection, work.projection.name)
        _compare(folding, works)
        if not check:
            for work in [work for work in works if not work.is_made_anew]:
                _advance(engine, work, head)
            _fill(folding, [work for work in works if work.is_made_anew], head)
        for work in works:
            with changing_for(engine, [work]) as connection:
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
        work = Work(projection, run, check_lock)
        head = _head(engine)
        _advance(engine, work, head)
        if work.run.position > head:
            raise _beyond(work, head)
        if work.served is not None:
            with changing_for(engine, [work]) as connection:
                _remember(connection, run, clock)
            return run
    return rebuild(engine, projection, clock, holder=holder)


def _head(engine: sa.Engine) -> int:
    with reading(engine) as connection:
        return read_head(connection).size


def _look(engine: sa.Engine, work: Work) -> None:
    """Say how far the live tables are, and whether they are as they were made."""
    with reading(engine) as connection:
        if _find(connection, work) and not work.live.have_columns(connection):
            work.served = None
        work.is_whole = work.served is not None and work.live.have_keys(connection)


def _find(connection: sa.Connection, work: Work) -> Checkpoint | None:
    """Return how far the live tables are, and keep it; None where they are not there."""
    served = read_checkpoint(connection, work.projection.name, work.projection.version)
    work.served = served if work.live.exist(connection) else None
    if work.served is not None:
        work.run.position = work.served.position
    return work.served


def _advance(engine: sa.Engine, work: Work, head: int) -> None:
    """Bring the live tables to that head, some events at a time, and say how far they are."""
    while True:
        with changing_for(engine, [work]) as connection:
            served = _find(connection, work)
            if served is None or served.position >= head or work.run.stalled_at is not None:
                return
            up_to = min(head, served.position + EVENTS)
            _take_in(connection, work, work.live, served.position, up_to)
            _write_checkpoint(connection, work, served.rebuilt_at)


def _beyond(work: Work, head: int) -> CouldNot:
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

    def every_part(self, works: Sequence[Work], up_to: int, *, compare: bool) -> Iterator[Folded]:
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
                    with changing_for(self.engine, works) as connection:
                        for work in works:
                            work.keep(connection)
                done += folded.events
                self.on_progress(done, None)


def _compare(folding: _Folding, works: Sequence[Work]) -> None:
    """Fold up to each checkpoint and note where the live tables differ; one pass a position."""
    at: dict[int, list[Work]] = {}
    for work in works:
        if work.served is not None:
            at.setdefault(work.served.position, []).append(work)
    for position, together in at.items():
        for _ in folding.every_part(together, position, compare=True):
            pass
    for work in works:
        if work.stalled_before(work.run.position):  # then it cannot say what should be there
            work.run.drift, work.run.drifts, work.drifted = 0, [], set()


def _fill(folding: _Folding, works: Sequence[Work], head: int) -> None:
    """Fold every stream into tables on the side, up to the head or the first stall."""
    _fill_up_to(folding, works, head)
    for work in works:
        while work.stalled_before(work.run.position):
            assert work.run.stalled_at is not None
            _fill_up_to(folding, [work], work.run.stalled_at - 1)


def _fill_up_to(folding: _Folding, works: Sequence[Work], position: int) -> None:
    """Reads and writes in turns: no transaction is long, and appends go on in between."""
    if not works:
        return
    with changing_for(folding.engine, works) as connection:
        for work in works:
            work.side.make(connection)
            work.run.position, work.run.sums = position, {}
            work.run.events = work.run.folded = work.run.rows = 0
    for folded in folding.every_part(works, position, compare=False):
        with changing_for(folding.engine, works) as connection:
            for work in works:
                if work.projection.name in folded.counts:
                    work.side.write(connection, folded.rows)


def _finish(connection: sa.Connection, work: Work) -> None:
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
    work: Work,
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


def _write_checkpoint(connection: sa.Connection, work: Work, rebuilt_at: str) -> None:
    """In the transaction of the rows."""
    run, projection = work.run, work.projection
    checkpoint = Checkpoint(run.position, rebuilt_at, run.stalled_at, run.cause)
    write_checkpoint(connection, projection.name, projection.version, checkpoint)


def _remember(connection: sa.Connection, run: Run, clock: Clock) -> None:
    run.ended_at = format_time(clock())
    write_run(connection, run.record())
