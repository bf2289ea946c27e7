"""The engine: catch-up equals rebuild, drift is found and mended, a stall stops one alone."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from recording import record_example, recorded, release

from ledger.book import now
from ledger.developments import Development
from ledger.errors import CouldNot
from ledger.examples.shipped import example
from ledger.projections import answer_tables
from ledger.projections.projection import Projection, Said, rows_over_time
from ledger.projections.releases import RELEASES, releases
from ledger.rebuild import catch_up, rebuild
from ledger.store.checkpoints import read_checkpoint
from ledger.store.connect import changing, reading
from ledger.store.locks import alone
from ledger.store.read import Selection, read_events, read_head
from ledger.store.runs import last_run

Tables = dict[str, set[tuple[Any, ...]]]


def live(engine: sa.Engine, projection: Projection = RELEASES) -> Tables:
    """Every row of the projection's tables."""
    with reading(engine) as connection:
        return {
            table.name: {tuple(row) for row in connection.execute(sa.select(table))}
            for table in projection.tables
        }


def naive(engine: sa.Engine, projection: Projection = RELEASES, up_to: int | None = None) -> Tables:
    """The rows that a plain fold over all events in memory gives."""
    by_stream: dict[str, list[Any]] = {}
    with reading(engine) as connection:
        selection = Selection(category=projection.category, up_to=up_to)
        for event in read_events(connection, selection):
            by_stream.setdefault(event.stream, []).append(event)
    found: Tables = {table.name: set() for table in projection.tables}
    for stream, events in by_stream.items():
        for name, row in rows_over_time(projection, stream, events):
            columns = [column.name for column in projection.tables[0].metadata.tables[name].c]
            found[name].add(tuple(row[column] for column in columns))
    return found


def position(engine: sa.Engine) -> int:
    """The checkpoint's position."""
    with reading(engine) as connection:
        checkpoint = read_checkpoint(connection, RELEASES.name, RELEASES.version)
    assert checkpoint is not None
    return checkpoint.position


def reports() -> Iterator[str]:
    """The reports of the wider example, one document at a time."""
    for document in example("wider").decode().split("\n---\n")[1:]:
        yield "---\n" + document


@pytest.mark.parametrize("step", [1, 4])
def test_catching_up_in_steps_equals_a_rebuild(engine: sa.Engine, step: int) -> None:
    """Whatever is appended between catch-ups, the rows are those of one fold over everything."""
    for number, document in enumerate(reports()):
        recorded(engine, document)
        if number % step == 0:
            catch_up(engine, RELEASES, now)
    run = catch_up(engine, RELEASES, now)

    caught_up = live(engine)
    checked = rebuild(engine, RELEASES, now, check=True)

    assert caught_up == naive(engine)
    assert (checked.outcome, checked.drift) == ("ok", 0)
    assert run.position == position(engine)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_batch_size_never_matters(
    engine: sa.Engine, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows come out of batches of any size."""
    record_example(engine, "wider")
    monkeypatch.setattr(answer_tables, "BATCH", size)
    monkeypatch.setattr("ledger.rebuild.STREAMS", size)

    rebuild(engine, RELEASES, now)

    assert live(engine) == naive(engine)


def test_a_catch_up_without_news_changes_nothing(engine: sa.Engine) -> None:
    """With nothing new, no event is folded and no row is written."""
    record_example(engine, "article")
    catch_up(engine, RELEASES, now)

    again = catch_up(engine, RELEASES, now)

    assert (again.events, again.rows) == (0, 0)


def test_drift_is_named_and_mended(engine: sa.Engine) -> None:
    """A row changed behind the engine's back is found by table and key, and put right."""
    record_example(engine, "wider")
    rebuild(engine, RELEASES, now)
    right = live(engine)
    with changing(engine) as connection:
        changed = releases.c.stream == "development/by-release-2025-09-11"
        connection.execute(sa.update(releases).where(changed).values(low=99))
        gone = releases.c.stream == "development/by-release-2025-09-16"
        connection.execute(sa.delete(releases).where(gone))

    checked = rebuild(engine, RELEASES, now, check=True)
    still_wrong = live(engine)
    run = rebuild(engine, RELEASES, now)

    assert checked.outcome == run.outcome == "drift"
    assert still_wrong != right
    keys = {(drift.table, drift.key["stream"]) for drift in run.drifts}
    assert keys == {
        ("releases", "development/by-release-2025-09-11"),
        ("releases", "development/by-release-2025-09-16"),
    }
    assert run.drift == checked.drift == len(run.drifts)
    assert live(engine) == right
    with reading(engine) as connection:
        assert last_run(connection, "releases", "drift") is not None
    assert rebuild(engine, RELEASES, now).outcome == "ok"


def broken(at: int) -> Projection:
    """The projection with a bug that raises once a report of that position is in the stream."""

    def rows(development: Development) -> Said:
        if at in development.reports:
            raise ZeroDivisionError("a bug")
        return RELEASES.rows(development)

    return replace(RELEASES, rows=rows)


def test_a_projection_stops_at_what_it_cannot_apply(engine: sa.Engine) -> None:
    """A stalled projection holds everything before that event, says why, and heals when fixed."""
    record_example(engine, "wider")
    with reading(engine) as connection:
        head = read_head(connection).size
        at = max(
            event.position
            for event in read_events(connection, Selection(types=["PrisonersReleased"]))
            if event.stream == "development/by-release-2025-09-11"
        )

    run = catch_up(engine, broken(at), now)

    assert (run.outcome, run.stalled_at, run.position) == ("stalled", at, at - 1)
    assert "ZeroDivisionError: a bug" in (run.cause or "")
    assert live(engine) == naive(engine, up_to=at - 1)
    with reading(engine) as connection:
        checkpoint = read_checkpoint(connection, RELEASES.name, RELEASES.version)
        assert checkpoint is not None
        assert (checkpoint.position, checkpoint.stalled_at) == (at - 1, at)
    assert catch_up(engine, broken(at), now).outcome == "stalled"
    assert position(engine) == at - 1

    fixed = catch_up(engine, RELEASES, now)

    assert (fixed.outcome, fixed.position) == ("ok", head)
    assert live(engine) == naive(engine)


def test_a_rebuild_that_stalls_keeps_what_is_served(engine: sa.Engine) -> None:
    """A rebuild that cannot apply an old event leaves the newer tables serving."""
    record_example(engine, "wider")
    rebuild(engine, RELEASES, now)
    before, reached = live(engine), position(engine)

    run = rebuild(engine, broken(3), now)

    assert run.outcome == "stalled"
    assert (live(engine), position(engine)) == (before, reached)


def test_a_new_version_is_built_beside_the_old_one(engine: sa.Engine) -> None:
    """A changed projection_version starts from zero and replaces the tables as a whole."""
    record_example(engine, "article")
    rebuild(engine, RELEASES, now)

    run = catch_up(engine, replace(RELEASES, version=2), now)

    assert run.how == "rebuild"
    assert live(engine) == naive(engine)


def test_an_overlapping_rebuild_is_told_who_is_at_it(engine: sa.Engine) -> None:
    """A second rebuild of one projection fails at once and names the first."""
    record_example(engine, "article")
    with (
        alone(engine, "releases", "process 12 on desk"),
        pytest.raises(CouldNot, match="process 12 on desk"),
    ):
        rebuild(engine, RELEASES, now)
    assert rebuild(engine, RELEASES, now).outcome == "ok"


def test_readers_see_complete_states_only(engine: sa.Engine) -> None:
    """Whoever reads during 200 rebuilds sees complete states, never something between."""
    record_example(engine, "article")
    rebuild(engine, RELEASES, now)
    complete = live(engine)
    seen: list[Tables] = []
    over = threading.Event()

    def hammer() -> None:
        while not over.is_set():
            seen.append(live(engine))

    reader = threading.Thread(target=hammer)
    reader.start()
    try:
        for _ in range(200):
            rebuild(engine, RELEASES, now)
    finally:
        over.set()
        reader.join()

    assert len(seen) > 10
    assert all(state == complete for state in seen)


def test_an_append_during_a_rebuild_is_taken_in(engine: sa.Engine) -> None:
    """What is recorded while the side tables are filled is in the tables afterwards."""
    record_example(engine, "wider")
    appended: list[Any] = []

    def append(run: Any) -> None:
        if not appended:
            appended.append(recorded(engine, release("during-the-rebuild", total=7)))

    rebuild(engine, RELEASES, now, on_progress=append)

    assert appended
    assert ("development/during-the-rebuild",) in {row[:1] for row in live(engine)["releases"]}
    assert live(engine) == naive(engine)


STEPS = ("make", "write", "differences", "mend", "write_checkpoint", "write_run")
KILLED_AT = """
import os, signal, sys
import sqlalchemy as sa
from ledger import rebuild as room
from ledger.book import now
from ledger.projections.answer_tables import AnswerTables
from ledger.projections.releases import RELEASES
from ledger.store.connect import connect
url, step = sys.argv[1:]
owner = AnswerTables if hasattr(AnswerTables, step) else room
was = getattr(owner, step)
def die(*args, **kwargs):
    was(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, step, die)
room.rebuild(connect(url), RELEASES, now)
"""


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_leaves_the_old_tables_serving(database: str, engine: sa.Engine, step: str) -> None:
    """Killed at any step, the old tables serve, and the next rebuild is clean."""
    record_example(engine, "wider")
    rebuild(engine, RELEASES, now)
    with changing(engine) as connection:
        connection.execute(sa.update(releases).values(low=99))
    wrong = live(engine)

    child = subprocess.run([sys.executable, "-c", KILLED_AT, database, step], check=False)

    assert child.returncode == -9
    assert live(engine) == wrong
    assert rebuild(engine, RELEASES, now).outcome == "drift"
    assert live(engine) == naive(engine)
    with engine.connect() as connection:
        assert not [n for n in sa.inspect(connection).get_table_names() if n.endswith("__new")]
