"""Rebuilding and catching up: answer tables folded from the events, while people read them.

Takes the recorded events (from `store`) and a projection; hands on filled answer tables, a
checkpoint and a Run. Both are one code path: the streams that changed after a checkpoint are folded
anew, whole; a rebuild does so from position 0 into tables on the side and compares them with the
live ones.

Rows and checkpoint commit together. A reader sees the tables before or after, never between. A
crash at any point leaves the old tables serving, and the next rebuild begins clean.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain, groupby, islice
from operator import attrgetter

import sqlalchemy as sa

from ledger.events import RecordedEvent
from ledger.projections.answer_tables import AnswerTables, Drift, Row, differences, mend, replace
from ledger.projections.projection import CannotApply, Projection, rows_over_time
from ledger.store.append import Clock, format_time
from ledger.store.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from ledger.store.connect import changing, reading
from ledger.store.locks import alone
from ledger.store.read import changed_streams, read_by_stream, read_head, read_streams
from ledger.store.runs import RunRecord, write_run

STREAMS = 500
"""Streams that are folded and written together; any number gives the same tables."""


@dataclass(slots=True)
class Run:
    """What one rebuild or catch-up did."""

    projection: str
    how: str
    """rebuild, check or catch_up."""
    started_at: str
    ended_at: str = ""
    position: int = 0
    """The last position that is in the tables now."""
    events: int = 0
    """Events that were folded."""
    rows: int = 0
    """Rows that were written."""
    drift: int = 0
    """Rows that the live tables held otherwise."""
    drifts: list[Drift] = field(default_factory=list)
    """The first of them."""
    stalled_at: int | None = None
    """The position that could not be applied."""
    cause: str | None = None

    @property
    def outcome(self) -> str:
        """ok, drift or stalled."""
        return "stalled" if self.stalled_at else "drift" if self.drift else "ok"

    def record(self) -> RunRecord:
        """Return the run as it is remembered."""
        named = [asdict(drift) for drift in self.drifts]
        detail = json.dumps(named) if named else None
        if self.stalled_at is not None:
            detail = f"position {self.stalled_at}: {self.cause}"
        return RunRecord(
            self.projection, self.how, self.started_at, self.ended_at, self.outcome,
            self.position, self.events, self.rows, self.drift, detail,
        )


OnProgress = Callable[[Run], None]


def rebuild(
    engine: sa.Engine,
    projection: Projection,
    clock: Clock,
    *,
    holder: str = "another process",
    check: bool = False,
    on_progress: OnProgress = lambda run: None,
) -> Run:
    """Fold the projection from the first event, compare with the live tables, and mend those.

    With `check` the live tables are left alone. Raises CouldNot where another process is at it.
    """
    run = Run(projection.name, "check" if check else "rebuild", format_time(clock()))
    side, live = AnswerTables(projection, side=True), AnswerTables(projection)
    with alone(engine, projection.name, holder):
        with reading(engine) as connection:
            head = read_head(connection).size
        reached = _fill(engine, side, head, run, on_progress)
        with changing(engine) as connection:
            kept = _finish(connection, live, side, reached, run)
            if check:
                connection.get_transaction().rollback()  # type: ignore[union-attr]  # it is open
            else:
                _close(connection, projection, run, clock, kept or run.started_at)
        if check:
            with changing(engine) as connection:
                side.drop(connection)
                run.ended_at = format_time(clock())
                write_run(connection, run.record())
    return run


def catch_up(
    engine: sa.Engine, projection: Projection, clock: Clock, *, holder: str = "another process"
) -> Run:
    """Fold the streams that changed since the checkpoint; a projection never built is rebuilt.

    Costs what the changed streams hold, however long the log is.
    """
    run = Run(projection.name, "catch_up", format_time(clock()))
    live = AnswerTables(projection)
    with alone(engine, projection.name, holder), changing(engine) as connection:
        checkpoint = read_checkpoint(connection, projection.name, projection.version)
        if checkpoint is not None and live.exist(connection):
            _take_in(connection, live, checkpoint.position, read_head(connection).size, run)
            _close(connection, projection, run, clock, checkpoint.rebuilt_at)
            return run
    return rebuild(engine, projection, clock, holder=holder)


def _fill(
    engine: sa.Engine, side: AnswerTables, up_to: int, run: Run, on_progress: OnProgress
) -> int:
    """Fill every stream into the side tables and return the last position that is in them.

    Reads and writes in turns, so that no transaction is long and appends go on in between.
    """
    with changing(engine) as connection:
        side.make(connection)
    with reading(engine) as source:
        events = _counted(read_by_stream(source, side.projection.category, up_to), run)
        for batch in _batched(_folded(side.projection, events, run), STREAMS):
            with changing(engine) as connection:
                run.rows += side.write(connection, chain.from_iterable(batch))
            on_progress(run)
    if run.stalled_at is not None and run.stalled_at <= up_to:
        return _fill(engine, side, run.stalled_at - 1, run, on_progress)
    return up_to


def _finish(
    connection: sa.Connection, live: AnswerTables, side: AnswerTables, reached: int, run: Run
) -> str | None:
    """Bring both to the head, compare, and make the live tables say what the events say.

    Returns the time of the last rebuild where the live tables are kept because the rebuild stalled
    before them; otherwise None.
    """
    projection = live.projection
    if run.stalled_at is None:
        _take_in(connection, side, reached, read_head(connection).size, run)
    else:
        run.position = reached
    checkpoint = read_checkpoint(connection, projection.name, projection.version)
    if checkpoint is None or not live.exist(connection):
        replace(connection, live, side)
        return None
    if checkpoint.position > run.position:  # stalled: serve what there is
        run.position = checkpoint.position
        side.drop(connection)
        return checkpoint.rebuilt_at
    caught_up = Run(projection.name, run.how, run.started_at)
    _take_in(connection, live, checkpoint.position, run.position, caught_up)
    run.drift, run.drifts = differences(connection, live, side)
    if run.drift:
        mend(connection, live, side)
    side.drop(connection)
    return None


def _take_in(
    connection: sa.Connection, into: AnswerTables, after: int, up_to: int, run: Run
) -> None:
    """Fold the streams that changed after a position anew, up to another; set the run's position.

    Where an event cannot be applied, everything before it is taken in and the run is stalled there.
    """
    projection = into.projection
    names = changed_streams(connection, projection.category, after, up_to)
    folded: list[list[Row]] = []
    for start in range(0, len(names), STREAMS):
        streams = read_streams(connection, names[start : start + STREAMS], up_to)
        events = _counted(chain.from_iterable(streams.values()), run)
        folded += _folded(projection, events, run)
    if run.stalled_at is not None and run.stalled_at <= up_to:
        _take_in(connection, into, after, run.stalled_at - 1, run)
        return
    into.forget(connection, names)
    run.rows += into.write(connection, chain.from_iterable(folded))
    run.position = up_to


def _folded(
    projection: Projection, events: Iterable[RecordedEvent], run: Run
) -> Iterator[list[Row]]:
    """Yield the rows of each stream; note the first event that cannot be applied."""
    for stream, of_stream in groupby(events, key=attrgetter("stream")):
        try:
            yield list(rows_over_time(projection, stream, of_stream))
        except CannotApply as stop:
            if run.stalled_at is None or stop.position < run.stalled_at:
                run.stalled_at, run.cause = stop.position, stop.cause


def _counted(events: Iterable[RecordedEvent], run: Run) -> Iterator[RecordedEvent]:
    for event in events:
        run.events += 1
        yield event


def _batched(items: Iterator[list[Row]], size: int) -> Iterator[list[list[Row]]]:
    while batch := list(islice(items, size)):
        yield batch


def _close(
    connection: sa.Connection, projection: Projection, run: Run, clock: Clock, rebuilt_at: str
) -> None:
    """Write checkpoint and run, in the transaction of the rows."""
    run.ended_at = format_time(clock())
    checkpoint = Checkpoint(run.position, rebuilt_at, run.stalled_at, run.cause)
    write_checkpoint(connection, projection.name, projection.version, checkpoint)
    write_run(connection, run.record())
