"""Many processes append while one follows: nothing is skipped, doubled or out of order."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from appenders import (
    Nursery,
    batches,
    complaints_about,
    do_append,
    do_follow,
    now,
    release,
)

from ledger import tables
from ledger.encoding import encode
from ledger.store.append import append
from ledger.store.connect import connect, reading, writing
from ledger.store.read import read_events, read_head

ROUNDS = 50
WRITERS = 6
BATCHES = 6

Seen = Sequence[Sequence[Any]]
"""Position, id, stream and stream_version of each event, in the order a reader saw them."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Where processes come from."""
    with Nursery() as nursery:
        yield nursery


def complaints_of_a_reader(seen: Seen, after: int, receipts: Sequence[Seen]) -> list[str]:
    """Return how what a reader saw after a position differs from what the writers were told."""
    complaints = []
    positions = [position for position, *_ in seen]
    if positions != list(range(after + 1, after + 1 + len(seen))):
        complaints.append("positions are not each one more than the one before")
    told = [receipt[:4] for batch in receipts for receipt in batch]
    for what, counter in (
        ("skipped", Counter(map(tuple, told)) - Counter(map(tuple, seen))),
        ("seen and never acknowledged", Counter(map(tuple, seen)) - Counter(map(tuple, told))),
    ):
        complaints += [f"{what}: {event}" for event in counter]
    for batch in receipts:
        at = [receipt[0] for receipt in batch]
        if at != list(range(at[0], at[0] + len(at))):
            complaints.append(f"another writer stands between the events of one batch: {at}")
    return complaints


SEEN = [[1, "a", "s", 1], [2, "b", "s", 2], [3, "c", "t", 1]]


@pytest.mark.parametrize(
    ("seen", "receipts"),
    [
        ([SEEN[0], SEEN[2]], [SEEN]),
        ([*SEEN, SEEN[2]], [SEEN]),
        ([SEEN[1], SEEN[0], SEEN[2]], [SEEN]),
        (SEEN, [SEEN[:2]]),
        (SEEN[:2], [SEEN]),
        ([SEEN[0], [2, "b", "s", 3], SEEN[2]], [SEEN]),
        (SEEN, [[SEEN[0], SEEN[2]], [SEEN[1]]]),
    ],
)
def test_complaints_are_made(seen: Seen, receipts: list[Seen]) -> None:
    """A reader that skips, repeats, reorders or invents is complained about."""
    assert complaints_of_a_reader(SEEN, 0, [SEEN[:1], SEEN[1:]]) == []
    assert complaints_of_a_reader(seen, 0, receipts) != []


def test_a_reader_misses_nothing(nursery: Nursery, database: str) -> None:
    """In each of fifty rounds a follower sees every event of six writers once and in order."""
    writers = [nursery.worker(database) for _ in range(WRITERS)]
    follower = nursery.worker(database)
    last = 0
    for turn in range(ROUNDS):
        follower.tell(do_follow, after=last)
        for number, writer in enumerate(writers):
            plan = list(batches(f"w{number}", f"r{turn}", f"{turn} {number}", BATCHES))
            writer.tell(do_append, plan=plan)
        receipts = [batch for writer in writers for batch in writer.hear()]
        follower.stop()
        seen = follower.hear()

        assert complaints_of_a_reader(seen, last, receipts) == []
        assert len(receipts) == WRITERS * BATCHES
        last = seen[-1][0]
    engine = connect(database)
    assert complaints_about(engine) == []
    assert read_size(engine) == last
    engine.dispose()


def read_size(engine: sa.Engine) -> int:
    with reading(engine) as connection:
        return read_head(connection).size


def test_one_writer_wins(nursery: Nursery, database: str) -> None:
    """Of six writers that expect the same version of a stream exactly one appends."""
    writers = [nursery.worker(database) for _ in range(WRITERS)]
    for version in range(10):
        for number, writer in enumerate(writers):
            events = [[f"{version}-{number}", "development/s"], [f"{version}-{number}b", "tally/t"]]
            plan = [{"events": events, "expected": {"development/s": version}}]
            writer.tell(do_append, plan=plan)
        answers = [answer for writer in writers for answer in writer.hear()]
        refusals = [answer for answer in answers if isinstance(answer, dict)]

        wanted = {"stream": "development/s", "actual": version + 1, "expected": version}
        assert refusals == [{"refused": "WrongExpectedVersion"} | wanted] * (WRITERS - 1)
    engine = connect(database)
    assert read_size(engine) == 20
    engine.dispose()


def test_one_id_is_recorded_once(nursery: Nursery, database: str) -> None:
    """Six writers that append the same event at the same time are given the same receipt."""
    writers = [nursery.worker(database) for _ in range(WRITERS)]
    for turn in range(10):
        plan = [{"events": [[f"id-{turn}", "development/s"]], "expected": {}}]
        for writer in writers:
            writer.tell(do_append, plan=plan)
        answers = [writer.hear() for writer in writers]

        assert answers == [answers[0]] * WRITERS
        assert answers[0][0][0][:2] == [turn + 1, f"id-{turn}"]


def test_uncommitted_events_cannot_be_overtaken(engine: sa.Engine) -> None:
    """A second writer waits for the first to commit, and until then no reader sees either."""
    started = threading.Event()

    def second() -> None:
        started.set()
        with writing(engine) as connection:
            append(connection, [release("b", "development/b")], recorded_by="b", clock=now)

    thread = threading.Thread(target=second)
    with writing(engine) as connection:
        append(connection, [release("a", "development/a")], recorded_by="a", clock=now)
        thread.start()
        started.wait()
        thread.join(0.1)

        assert thread.is_alive()
        with reading(engine) as other:
            assert list(read_events(other)) == []
    thread.join()

    with reading(engine) as connection:
        assert [(e.position, e.id) for e in read_events(connection)] == [(1, "a"), (2, "b")]


def test_a_reader_sees_one_state(engine: sa.Engine) -> None:
    """What is committed after a reader's first look stays unseen until its next transaction."""
    with reading(engine) as before:
        assert read_head(before).size == 0
        with writing(engine) as connection:
            append(connection, [release("a", "development/a")], recorded_by="a", clock=now)
        assert list(read_events(before)) == []
        assert read_head(before).size == 0
    assert read_size(engine) == 1


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_strict_server_default_changes_nothing(
    nursery: Nursery, postgres_database: str, level: str
) -> None:
    """Writers queue for the lock and succeed also where the database's default is stricter."""
    engine = connect(postgres_database)
    with engine.connect() as connection, connection.begin():
        name = connection.scalar(sa.text("SELECT quote_ident(current_database())"))
        connection.exec_driver_sql(
            f"ALTER DATABASE {name} SET default_transaction_isolation = '{level}'"
        )
    engine.dispose()
    writers = [nursery.worker(postgres_database) for _ in range(3)]
    for number, writer in enumerate(writers):
        plan = list(batches(f"w{number}", "r", str(number), BATCHES))
        writer.tell(do_append, plan=plan)

    assert [len(writer.hear() or ()) for writer in writers] == [BATCHES] * 3


def test_append_without_the_lock(engine: sa.Engine) -> None:
    """A connection that is not from `writing`, or no longer in its transaction, cannot append."""
    event = release("1", "development/a")
    with engine.connect() as plain, pytest.raises(AssertionError, match=r"store\.connect\.writing"):
        append(plain, [event], recorded_by="b", clock=now)
    with reading(engine) as reader, pytest.raises(AssertionError, match=r"store\.connect\.writing"):
        append(reader, [event], recorded_by="b", clock=now)
    with writing(engine) as connection:
        connection.commit()
        with pytest.raises(AssertionError, match=r"store\.connect\.writing"):
            append(connection, [event], recorded_by="b", clock=now)
    assert read_size(engine) == 0


def test_complaints_about_a_log(engine: sa.Engine) -> None:
    """A log that was written to by hand is complained about."""
    with writing(engine) as connection:
        append(connection, [release("1", "tally/a")], recorded_by="a", clock=now)
    row = {"position": 2, "id": "2", "stream": "tally/a", "stream_version": 2, "type": "TalksHeld"}
    entry, _ = encode(release("2", "tally/a"), 2, "2025-12-13T12:00:00.000000Z", "a")
    rest = {"type_version": 1, "recorded_at": "2025", "entry": entry, "leaf_hash": b"l" * 32}
    with engine.connect() as connection, connection.begin():
        connection.execute(sa.insert(tables.events).values(row | rest))
        more = {"position": 1, "digest": "d", "disclosure": "x"}
        connection.execute(sa.insert(tables.disclosures).values(more))

    assert sorted(complaints_about(engine)) == [
        "position 1 has other disclosures than digests",
        "position 2 has another recorded_at than its entry",
        "position 2 has another type than its entry",
        "position 2 has other disclosures than digests",
        "position 2 has the leaf hash of another entry",
        "position 2 was recorded before its predecessor",
        "the tree head has another root",
        "the tree head has another time",
        "the tree head says 1 of 2",
    ]


def test_a_new_file_is_opened_by_many_at_once(tmp_path: Path) -> None:
    """Whoever opens a file that is still empty beside others waits, and is not sent away."""

    def write(engine: sa.Engine, together: threading.Barrier) -> None:
        together.wait()
        with writing(engine) as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS t (x)")
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")

    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(ROUNDS):
            file = tmp_path / f"{number}.db"
            file.touch()
            together = threading.Barrier(WRITERS)
            engines = [connect(str(file)) for _ in range(WRITERS)]
            for done in [pool.submit(write, engine, together) for engine in engines]:
                done.result()
            with engines[0].connect() as connection:
                assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == WRITERS
            for engine in engines:
                engine.dispose()
