"""How long a rebuild of every shipped projection takes, beside a bare read and another library.

    python -m benchmarks.rebuild [--events 1000000] [--world FILE] [--postgres URL] [--workers 2]

In one run over one generated world: a bare `SELECT entry` with `orjson.loads`; the first build, a
rebuild beside live tables and a check, which find everything as it was folded before; a rebuild
after a thousand more reports, of developments drawn from all over the log; and a rebuild and a
check that fold everything anew; all with every shipped projection. And the documented projection
loop of the `eventsourcing` library (one event, one upsert and one tracking record a
transaction) over its own store of the same reports. That library's loop fills one view; this one
fills every answer table of all projections, so *loop x* is given as measured and a projection.

`without folds` is what a check that folds everything has to do before any projection has a say, by
as many workers: read the events in order of stream, parse them, read the live rows and look whether
they are the same. Then each projection is checked alone, and folds everything.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import orjson
import sqlalchemy as sa
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.sqlite import SQLiteDatastore, SQLiteTrackingRecorder

from benchmarks.catch_up import one_more
from benchmarks.memory import watching
from benchmarks.unfolded import check_without_folds
from benchmarks.world import drafts, load
from ledger import tables
from ledger.book import now, workers
from ledger.projections.projection import Projection
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import catch_up, rebuild_all
from ledger.run import Run
from ledger.store.append import append
from ledger.store.connect import connect, reading, writing
from ledger.store.migrate import upgrade
from ledger.store.read import read_head, streams_at

REPORTS = 1_000
"""Reports that come between two rebuilds, of developments all over the log."""
AFTER = f"after {REPORTS:,} reports"
EVERY = ("first build", "rebuild", "check", AFTER, "rebuild anew", "check anew")
"""What is done with all projections at once."""
LOOPED = 20_000
"""Events that the other library's loop is timed over: it takes the same time for each."""


class Development(Aggregate):
    """One report as an event of the other library."""

    @event("Reported")
    def __init__(self, stream: str, report: dict[str, Any]) -> None:
        self.stream, self.report = stream, report


class View(SQLiteTrackingRecorder):
    """One row a stream, in one transaction with the tracking record."""

    def construct_create_table_statements(self) -> list[str]:
        """Add the view's table."""
        own = "CREATE TABLE IF NOT EXISTS view (stream TEXT PRIMARY KEY, reports INTEGER)"
        return [*super().construct_create_table_statements(), own]

    def count(self, stream: str, tracking: Tracking) -> None:
        """Count a report of the stream."""
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(
                "INSERT INTO view VALUES (?, 1)"
                " ON CONFLICT (stream) DO UPDATE SET reports = reports + 1",
                (stream,),
            )
            self._insert_tracking(cursor, tracking)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that the work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def bare(engine: sa.Engine) -> None:
    """Read and parse every entry."""
    options = {"stream_results": True, "max_row_buffer": 10_000}
    query = sa.select(tables.events.c.entry).order_by(tables.events.c.position)
    with reading(engine) as connection:
        cursor = connection.execute(query, execution_options=options).cursor
        assert cursor is not None
        for (entry,) in iter(cursor.fetchone, None):
            orjson.loads(entry)


def report(engine: sa.Engine, count: int) -> None:
    """Record so many reports of developments all over the log, and take them in."""
    rng = Random(count)
    with reading(engine) as connection:
        drawn = rng.sample(range(1, read_head(connection).size + 1), 2 * count)
        streams = [*streams_at(connection, drawn).values()]
    events = [one_more(stream) for stream in streams if stream.startswith("development/")]
    with writing(engine) as connection:
        append(connection, events[:count], recorded_by="benchmark", clock=now)
    for projection in PROJECTIONS:
        catch_up(engine, projection, now)


def loop(folder: Path) -> float:
    """Return microseconds an event of the other library's documented projection."""
    env = {"PERSISTENCE_MODULE": "eventsourcing.sqlite",
           "SQLITE_DBNAME": str(folder / "theirs.db")}
    application: Application[Any] = Application(env=env)
    application.events.put([
        recorded
        for draft in drafts(LOOPED)
        for recorded in Development(draft.stream, draft.data).collect_events()
    ])
    view = View(SQLiteDatastore(str(folder / "view.db")))
    view.create_table()

    def project() -> None:
        start = 1
        while notifications := application.recorder.select_notifications(start, 1_000):
            for notification in notifications:
                reported: Any = application.mapper.to_domain_event(notification)
                view.count(reported.stream, Tracking(application.name, notification.id))
            start = notifications[-1].id + 1

    return timed(project) / LOOPED * 1e6


def measure(engine: sa.Engine, count: int, workers: int, looped: float) -> None:
    """Print a line for each kind of work."""
    most: dict[str, float] = {}
    spent = {"bare read + parse": min(timed(lambda: bare(engine)) for _ in range(2))}
    base = spent["bare read + parse"]

    def work(
        projections: Sequence[Projection] = PROJECTIONS, *, check: bool = False, anew: bool = False
    ) -> list[Run]:
        with watching() as memory:
            runs = rebuild_all(engine, projections, now, workers=workers, check=check, anew=anew)
        biggest = sorted(memory.values(), reverse=True)[: workers + 1]
        most["together"] = max(sum(biggest), most.get("together", 0))
        most["each"] = max([*biggest, most.get("each", 0)])
        assert all(run.outcome == "ok" for run in runs), runs
        return runs

    spent["first build"] = timed(work)
    spent["rebuild"] = timed(work)
    spent["check"] = timed(lambda: work(check=True))
    report(engine, REPORTS)
    spent[AFTER] = timed(work)
    spent["rebuild anew"] = timed(lambda: work(anew=True))
    spent["check anew"] = timed(lambda: work(check=True, anew=True))
    spent["  without folds"] = timed(lambda: check_without_folds(engine, workers))
    for projection in PROJECTIONS:
        name = f"  {projection.name} alone"
        spent[name] = timed(partial(work, [projection], check=True, anew=True))
    titles = f"{'seconds':>9}{'us/event':>10}{'events/s':>11}{'bare x':>8}"
    print(f"  {'':<20}{titles}{'loop x':>8}{'a projection':>14}")
    for name, seconds in spent.items():
        each = seconds / count * 1e6
        line = f"{seconds:>9.1f}{each:>10.2f}{count / seconds:>11,.0f}{seconds / base:>8.2f}"
        faster = f"{looped / each:>8.0f}{looped / each * len(PROJECTIONS):>14.0f}"
        print(f"  {name:<20}{line}{faster if name in EVERY else ''}")
    print(f"  peak memory: {most['each']:,.0f} MiB a process, {most['together']:,.0f} MiB together")


def main() -> None:
    """Make the world where it is not given, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--world", help="a SQLite file made by benchmarks.world; it is copied")
    parser.add_argument("--postgres", help="URL of an empty database, or of a loaded world")
    parser.add_argument("--workers", type=int, default=workers())
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rebuild-"))
    try:
        with ProcessPoolExecutor(1) as apart:  # so that its memory is not ours
            looped = apart.submit(loop, folder).result()
        print(f"the other library's loop: {looped:,.0f} us an event, {1e6 / looped:,.0f} events/s")
        ours = folder / "ours.db"
        if options.world:
            shutil.copy(options.world, ours)
        engine = connect(options.postgres or str(ours))
        upgrade(engine)  # a world may be of an earlier version
        if not options.world:
            load(engine, options.events, tell=True)
        with reading(engine) as connection:
            count = connection.scalar(sa.select(sa.func.max(tables.events.c.position))) or 0
        print(f"{engine.dialect.name}, {count:,} events, {options.workers} workers")
        measure(engine, count, options.workers, looped)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
