"""The engine: catch-up equals rebuild, drift is found and mended, a stall stops one alone."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from recording import record_example, recorded, release

from ledger import folding, tables
from ledger.book import now
from ledger.developments import Live
from ledger.errors import CouldNot
from ledger.examples.shipped import example
from ledger.projections.projection import Fold, Projection, Said, columns_of
from ledger.projections.registry import PROJECTIONS
from ledger.projections.releases import RELEASES, releases
from ledger.projections.releases import of_step as releases_of_step
from ledger.rebuild import catch_up, rebuild, rebuild_all
from ledger.store.checkpoints import read_checkpoint
from ledger.store.connect import changing, reading
from ledger.store.locks import alone
from ledger.store.read import Selection, read_events, read_head
from ledger.store.runs import last_run

Tables = dict[str, set[tuple[Any, ...]]]

NEXT = RELEASES.version + 1


def live(engine: sa.Engine, projection: Projection = RELEASES) -> Tables:
    """Every row of the projection's tables."""
    with reading(engine) as connection:
        return {
            table.name: {
                tuple(row)
                for row in connection.execute(sa.select(*(table.c[c] for c in columns_of(table))))
            }
            for table in projection.tables
        }


def naive(engine: sa.Engine, projection: Projection = RELEASES, up_to: int | None = None) -> Tables:
    """The rows that a plain fold over all events in memory gives."""
    by_stream: dict[str, list[Any]] = {}
    with reading(engine) as connection:
        selection = Selection(category=projection.category, up_to=up_to)
        for event in read_events(connection, selection):
            by_stream.setdefault(event.stream, []).append(event)
    fold = Fold([projection])
    for stream, events in by_stream.items():
        fold.take(stream, events)
    return {name: set(rows) for name, rows in fold.rows.items()}


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
    monkeypatch.setattr(folding, "EVENTS", size)
    monkeypatch.setattr(folding, "PIECE", size)
    monkeypatch.setattr("ledger.rebuild.EVENTS", size)
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

    def of_step(reports: Live) -> Said:
        if any(report.position == at for report in reports):
            raise ZeroDivisionError("a bug")
        return releases_of_step(reports)

    return replace(RELEASES, of_step=of_step)


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


def test_a_stall_counts_what_is_taken_in(engine: sa.Engine) -> None:
    """A catch-up that stalls says how many events it took in, without those that it tried and took
    back."""
    record_example(engine, "article")
    start = rebuild(engine, RELEASES, now).position
    record_example(engine, "wider")
    with reading(engine) as connection:
        log = list(read_events(connection, Selection(category="development")))
    at = next(e.position for e in reversed(log) if e.type == "PrisonersReleased")

    run = catch_up(engine, broken(at), now)

    assert (run.outcome, run.position) == ("stalled", at - 1)
    changed = {event.stream for event in log if start < event.position < at}
    taken_in = [event for event in log if event.stream in changed and event.position < at]
    assert run.events == run.folded == len(taken_in)
    held = {name: [row for row in rows if row[0] in changed] for name, rows in live(engine).items()}
    assert run.rows == sum(map(len, held.values()))


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

    run = catch_up(engine, replace(RELEASES, version=NEXT), now)

    assert run.how == "rebuild"
    assert live(engine) == naive(engine)


def test_a_checkpoint_beyond_the_log_is_refused_and_mended(engine: sa.Engine) -> None:
    """A checkpoint moved ahead hides no new event: catch-up refuses, a rebuild mends it."""
    record_example(engine, "article")
    rebuild(engine, RELEASES, now)
    with changing(engine) as connection:
        ahead = sa.update(tables.checkpoints).values(position=400)
        connection.execute(ahead.where(tables.checkpoints.c.projection == "releases"))
    recorded(engine, release("by-later", total=3))

    for refused in (catch_up, partial(rebuild, check=True)):
        with pytest.raises(CouldNot, match="at position 400, the ledger has 14 events"):
            refused(engine, RELEASES, now)
    run = rebuild(engine, RELEASES, now)

    assert (run.outcome, run.position) == ("ok", 14)
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


def test_an_append_during_a_rebuild_is_taken_in(engine: sa.Engine) -> None:
    """What is recorded while the side tables are filled is in the tables afterwards."""
    record_example(engine, "wider")
    appended: list[Any] = []

    def append(done: int, of: int | None) -> None:
        if not appended:
            appended.append(recorded(engine, release("during-the-rebuild", total=7)))

    rebuild(engine, RELEASES, now, on_progress=append)

    assert appended
    assert ("development/during-the-rebuild",) in {row[:1] for row in live(engine)["releases"]}
    assert live(engine) == naive(engine)


MENDING = ("_compare", "forget", "write", "write_checkpoint", "write_run")
BUILDING = ("make", "write", "put_in_place", "write_checkpoint", "write_run")
KILLED_AT = """
import os, signal, sys
from dataclasses import replace
from ledger import rebuild as room
from ledger.book import now
from ledger.projections.answer_tables import AnswerTables
from ledger.projections.registry import PROJECTIONS
from ledger.projections.releases import RELEASES
from ledger.store.connect import connect
url, step, version = sys.argv[1:]
owner = AnswerTables if hasattr(AnswerTables, step) else room
was = getattr(owner, step)
def die(*args, **kwargs):
    was(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, step, die)
room.rebuild(connect(url), replace(RELEASES, version=int(version)), now)
"""


def killed(database: str, step: str, version: int = RELEASES.version) -> bool:
    """Rebuild in a process that kills itself after the step; return whether it did."""
    command = [sys.executable, "-c", KILLED_AT, database, step, str(version)]
    return subprocess.run(command, check=False).returncode == -9


def on_the_side(engine: sa.Engine) -> list[str]:
    """The tables that a rebuild left beside the live ones."""
    with engine.connect() as connection:
        return [n for n in sa.inspect(connection).get_table_names() if n.endswith("__new")]


@pytest.mark.parametrize("step", MENDING)
def test_a_crash_leaves_the_old_tables_serving(database: str, engine: sa.Engine, step: str) -> None:
    """Killed at any step of mending, the old tables serve, and the next rebuild mends them."""
    record_example(engine, "wider")
    rebuild(engine, RELEASES, now)
    with changing(engine) as connection:
        connection.execute(sa.update(releases).values(low=99))
    wrong = live(engine)

    assert killed(database, step)

    assert live(engine) == wrong
    assert rebuild(engine, RELEASES, now).outcome == "drift"
    assert live(engine) == naive(engine)
    assert not on_the_side(engine)


@pytest.mark.parametrize("step", BUILDING)
def test_a_crash_leaves_the_old_version_serving(
    database: str, engine: sa.Engine, step: str
) -> None:
    """Killed at any step of building a new version, the old one serves; the next is clean."""
    record_example(engine, "wider")
    rebuild(engine, RELEASES, now)
    before = live(engine)

    assert killed(database, step, version=NEXT)

    assert (live(engine), position(engine)) == (before, position(engine))
    assert rebuild(engine, replace(RELEASES, version=NEXT), now).outcome == "ok"
    assert live(engine) == naive(engine)
    assert not on_the_side(engine)


def test_more_drift_than_can_be_mended_makes_the_tables_anew(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where too many streams differ, the tables are filled on the side and put in place."""
    record_example(engine, "wider")
    rebuild(engine, RELEASES, now)
    with changing(engine) as connection:
        connection.execute(sa.delete(releases))
    monkeypatch.setattr("ledger.work.MENDED_IN_PLACE", 3)

    run = rebuild(engine, RELEASES, now)

    assert (run.outcome, len(run.drifts)) == ("drift", 20)
    assert live(engine) == naive(engine)
    assert rebuild(engine, RELEASES, now).outcome == "ok"


@pytest.mark.parametrize("size", [1, 5])
def test_several_processes_give_the_same_rows(
    engine: sa.Engine, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folded by three processes or by this one, first build or comparison: the same tables."""
    record_example(engine, "wider")
    monkeypatch.setattr(folding, "EVENTS", size)
    monkeypatch.setattr(folding, "PIECE", size)
    monkeypatch.setattr("ledger.rebuild.WORTH_PROCESSES", 0)

    built = rebuild_all(engine, PROJECTIONS, now, workers=3)
    with changing(engine) as connection:
        connection.execute(sa.update(releases).values(low=99))
    mended = rebuild_all(engine, PROJECTIONS, now, workers=3)

    assert {run.outcome for run in built} == {"ok"}
    assert [run.projection for run in mended if run.drift] == ["releases"]
    assert [run.rows for run in mended[1:]] == [run.rows for run in built[1:]]
    for projection in PROJECTIONS:
        assert live(engine, projection) == naive(engine, projection)


def test_tables_that_are_gone_cannot_be_checked(engine: sa.Engine) -> None:
    """A check says that there is nothing to check, where a projection was never built."""
    record_example(engine, "article")

    with pytest.raises(CouldNot, match="not all there"):
        rebuild(engine, RELEASES, now, check=True)
