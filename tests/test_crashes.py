"""Processes die by SIGKILL while they append: what was acknowledged is there, the rest is whole.

SQLite writes through to the disk here; PostgreSQL is the server that the fixtures start. That a
commit is on disk before it is acknowledged is a matter of settings, which the last tests look at.
"""

import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from appenders import (
    STEPS,
    Batch,
    Nursery,
    append_batch,
    batches,
    complaints_about,
    do_append,
    do_append_and_die,
    do_append_and_die_after,
    do_append_on,
    now,
    release,
    wait_a_little,
)

from ledger import tables
from ledger.errors import CouldNot
from ledger.store.append import append
from ledger.store.connect import (
    RENEWED_SECONDS,
    connect,
    file_of,
    place_of,
    reading,
    writing,
)
from ledger.store.read import read_head

LIVES = 12
WORKERS = 4
BATCH: Batch = {
    "events": [["a", "development/a"], ["b", "tally/b"], ["c", "development/a"]],
    "expected": {"development/a": 0, "tally/b": 0},
}
RECEIPTS = [[1, "a", "development/a", 1], [2, "b", "tally/b", 1], [3, "c", "development/a", 2]]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Where processes come from."""
    with Nursery() as nursery:
        yield nursery


def recorded(engine: sa.Engine) -> list[list[Any]]:
    """Return every event as a receipt has it."""
    e = tables.events.c
    query = sa.select(e.position, e.id, e.stream, e.stream_version, e.recorded_at)
    with reading(engine) as connection:
        return [list(row) for row in connection.execute(query.order_by(e.position))]


def half_batches(rows: list[list[Any]]) -> list[str]:
    """Return the batches that are not there as a whole, their events one behind the other.

    What a batch should hold is planned again from its name: an event's id without the last part.
    """
    at: dict[str, list[int]] = {}
    for position, id, *_ in rows:
        at.setdefault(id.rpartition("-")[0], []).append(position)
    wanted: dict[str, int] = {}
    for batch in at:
        if batch not in wanted:
            group, name, number = batch.split("-")
            plan = batches(name, group, f"{group} {name}", int(number) + 50)
            wanted |= {f"{group}-{name}-{n}": len(b["events"]) for n, b in enumerate(plan)}
    return [
        batch
        for batch, positions in at.items()
        if positions != list(range(positions[0], positions[0] + wanted[batch]))
    ]


def test_half_batches_are_found() -> None:
    """A batch with an event missing, or with another one in its midst, is found."""
    planned = next(batches("w0", "l0", "l0 w0"))["events"]
    whole = [[position, id] for position, (id, _) in enumerate(planned, start=1)]
    assert len(whole) > 1

    assert half_batches(whole) == []
    assert half_batches(whole[:-1]) == ["l0-w0-0"]
    assert half_batches([*whole[:-1], [len(whole) + 1, whole[-1][1]]]) == ["l0-w0-0"]


@pytest.mark.parametrize("step", STEPS)
def test_death_at_a_step(nursery: Nursery, database: str, step: str) -> None:
    """Death before the commit leaves nothing, death after it everything, and a retry mends both."""
    worker = nursery.worker(database)

    assert worker.ask(do_append_and_die, step=step, batch=BATCH) is None

    engine = connect(database)
    with writing(engine):
        pass  # whoever holds the lock after this, it is not the dead one
    wanted = RECEIPTS if step == "after the commit" else []
    before = recorded(engine)
    assert [row[:4] for row in before] == wanted
    assert complaints_about(engine) == []

    (receipts,) = nursery.worker(database).ask(do_append, plan=[BATCH])
    assert [receipt[:4] for receipt in receipts] == RECEIPTS
    assert receipts == recorded(engine) == (before or receipts)
    assert complaints_about(engine) == []
    engine.dispose()


@pytest.mark.parametrize("call", [1, 2, 3])
def test_death_inside_the_append_of_one_event(
    nursery: Nursery, database: str, call: int
) -> None:
    """Death after any statement of a single append leaves nothing, and a retry mends it."""
    one: Batch = {"events": BATCH["events"][:1], "expected": {"development/a": 0}}

    assert nursery.worker(database).ask(do_append_and_die_after, call=call, batch=one) is None

    engine = connect(database)
    with writing(engine):
        pass  # whoever holds the lock after this, it is not the dead one
    assert recorded(engine) == []
    assert complaints_about(engine) == []
    nursery.worker(database).ask(do_append, plan=[one])
    assert [row[:4] for row in recorded(engine)] == RECEIPTS[:1]
    assert complaints_about(engine) == []
    engine.dispose()


def test_death_at_random_points(nursery: Nursery, database: str) -> None:
    """However often all writers are killed, no batch is halved and nothing acknowledged is lost."""
    chance = Random(20251213)
    engine = connect(database)
    acknowledged: list[list[Any]] = []
    for life in range(LIVES):
        workers = [nursery.worker(database) for _ in range(WORKERS)]
        for number, worker in enumerate(workers):
            name, group = f"w{number}", f"l{life}"
            worker.tell(do_append_on, name=name, group=group, seed=f"{group} {name}")
        acknowledged += workers[0].hear()  # so that no life is over before it has begun
        for worker in workers:
            wait_a_little(chance, 25)
            worker.kill()
        for worker in workers:
            while (receipts := worker.hear()) is not None:
                acknowledged += receipts
        with writing(engine):
            pass
        rows = recorded(engine)
        assert half_batches(rows) == []
        assert {*map(tuple, acknowledged)} - {*map(tuple, rows)} == set()
        assert complaints_about(engine) == []
    assert len(acknowledged) > LIVES
    engine.dispose()


@pytest.mark.parametrize("persisted", [True, False])
def test_a_lost_reply(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, persisted: bool
) -> None:
    """A retry after a line broke at the commit records once, whether it got through or not."""
    real: Callable[[Any], None] = engine.dialect.do_commit

    def broken(connection: Any) -> None:
        if persisted:
            real(connection)
        raise ConnectionError("the line is dead")

    with monkeypatch.context() as patch:
        patch.setattr(engine.dialect, "do_commit", broken)
        with pytest.raises(ConnectionError):
            append_batch(engine, BATCH)
    before = recorded(engine)
    assert [row[:4] for row in before] == (RECEIPTS if persisted else [])

    receipts = append_batch(engine, BATCH)
    assert [receipt[:4] for receipt in receipts] == RECEIPTS
    assert receipts == recorded(engine) == (before or receipts)
    assert complaints_about(engine) == []


def test_rollback(engine: sa.Engine) -> None:
    """What the caller rolls back leaves no event, no disclosure, no tree, and no used position."""
    append_batch(engine, BATCH)

    def append_twice_and_fail() -> None:
        with writing(engine) as connection:
            for id in "de":
                event = release(id, "development/a")
                append(connection, [event], recorded_by="b", clock=now)
            raise KeyError("the caller's own")

    with pytest.raises(KeyError):
        append_twice_and_fail()

    assert complaints_about(engine) == []
    (receipt,) = append_batch(engine, {"events": [["f", "development/a"]], "expected": {}})
    assert receipt[:4] == [4, "f", "development/a", 3]


# Opening.


def test_sqlite_settings(sqlite_database: str) -> None:
    """Every connection to a SQLite ledger writes ahead and waits for the disk at each commit."""
    engine = connect(sqlite_database)
    with writing(engine) as one, reading(engine) as other, engine.connect() as third:
        for connection in (one, other, third):
            settings = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "secure_delete", "recursive_triggers")
            ]
            full = 2
            assert settings == ["wal", full, 1, 1]
    engine.dispose()


@pytest.mark.parametrize(
    ("default", "wanted"),
    [("off", "on"), ("local", "local"), ("remote_write", "remote_write"), ("on", "on")],
)
@pytest.mark.parametrize("whose", ["DATABASE {name}", "ROLE CURRENT_USER IN DATABASE {name}"])
def test_postgresql_settings(postgres_database: str, whose: str, default: str, wanted: str) -> None:
    """A PostgreSQL ledger waits for the disk at each commit, whatever the server's default is."""
    engine = connect(postgres_database)
    with engine.connect() as connection, connection.begin():
        name = connection.scalar(sa.text("SELECT quote_ident(current_database())"))
        place = whose.format(name=name)
        connection.exec_driver_sql(f"ALTER {place} SET synchronous_commit = {default}")
    engine.dispose()

    show = "SHOW synchronous_commit"
    for _ in range(2):
        with writing(engine) as connection:
            assert connection.exec_driver_sql(show).scalar() == wanted
        with reading(engine) as connection:
            assert connection.exec_driver_sql(show).scalar() == default
    with reading(engine) as connection:
        assert read_head(connection).size == 0
    engine.dispose()


def test_a_connection_that_stood_idle(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that a server cut off while it stood idle for a minute is not used again."""
    engine, other = connect(postgres_database), connect(postgres_database)
    with reading(engine) as connection:
        idle = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    with reading(other) as connection:
        connection.execute(sa.select(sa.func.pg_terminate_backend(idle)))
    now = time.time()
    monkeypatch.setattr("sqlalchemy.pool.base.time.time", lambda: now + RENEWED_SECONDS + 1)
    with reading(engine) as connection:
        assert read_head(connection).size == 0
    engine.dispose()
    other.dispose()


@pytest.mark.parametrize(
    ("url", "place", "file"),
    [
        ("some/ledger.db", "sqlite:///some/ledger.db", "some/ledger.db"),
        ("sqlite:////srv/l.db", "sqlite:////srv/l.db", "/srv/l.db"),
        ("sqlite://", "sqlite://", None),
        ("postgresql+psycopg://anna:secret@db/l", "postgresql+psycopg://anna:***@db/l", None),
    ],
)
def test_places(url: str, place: str, file: str | None) -> None:
    """A plain path is a SQLite file, and a place is shown without its password."""
    engine = connect(url)

    assert place_of(engine) == place
    assert (None if file is None else str(file_of(engine))) == file


@pytest.mark.parametrize(
    "url",
    ["oracle://anna:secret@db/l", "nothing://anna:secret@db/l", "mysql+pymysql://a:secret@db/l"],
)
def test_other_databases_are_refused(url: str) -> None:
    """A database that a ledger cannot live in is refused, without showing the password."""
    with pytest.raises(CouldNot) as refusal:
        connect(url)
    assert "secret" not in str(refusal.value)
