"""Reading while rebuilds replace and mend the tables that are read."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from recording import record_example

from ledger import rebuild as room
from ledger.answers.asking import ask, in_one_state
from ledger.answers.registry import QUESTIONS
from ledger.book import now
from ledger.projections.answer_tables import put_in_place
from ledger.projections.projection import columns_of
from ledger.projections.registry import PROJECTIONS
from ledger.projections.releases import RELEASES, release_citizenships, releases
from ledger.rebuild import rebuild, rebuild_all
from ledger.store.connect import changing

REBUILDS, REPLACED, MENDED = 200, 40, 20
BREATH = 0.02
"""Seconds between two readings: a thread that never rests takes the time of the rebuilds."""


class State(NamedTuple):
    """What one transaction reads: an answer, and every row of the tables behind it."""

    rows: list[Any]
    total: dict[str, Any]
    tables: dict[str, list[Any]]


class Reading(NamedTuple):
    """A state, and how many times the tables had been replaced before it was asked for."""

    state: State
    replaced: int


def state(engine: sa.Engine) -> State:
    """Ask for releases as everybody does, and read their tables in the same transaction."""

    def asked(connection: sa.Connection) -> State:
        answer = ask(connection, QUESTIONS[0])
        tables = {
            table.name: sorted(
                tuple(row)
                for row in connection.execute(sa.select(*(table.c[c] for c in columns_of(table))))
            )
            for table in RELEASES.tables
        }
        return State(answer.rows, answer.total, tables)

    return in_one_state(engine, asked)


def put_drift(engine: sa.Engine) -> None:
    """Change one table and empty another, in one transaction."""
    with changing(engine) as connection:
        connection.execute(sa.update(releases).values(low=99))
        connection.execute(sa.delete(release_citizenships))


@contextmanager
def hammered(engine: sa.Engine, replaced: list[str]) -> Iterator[list[Reading]]:
    """Read in a thread, again and again; what it read is complete when the block is left."""
    seen: list[Reading] = []
    failures: list[Exception] = []
    over = threading.Event()

    def hammer() -> None:
        try:
            while not over.wait(BREATH):
                before = len(replaced)
                seen.append(Reading(state(engine), before))
        except Exception as failure:  # else only the thread would end
            failures.append(failure)

    reader = threading.Thread(target=hammer)
    reader.start()
    try:
        yield seen
    finally:
        over.set()
        reader.join()
    assert failures == []


def test_readers_see_complete_states_only(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks during 200 rebuilds sees complete states, also where a rebuild replaces the
    tables (40 of them) or mends them in place (20)."""
    replaced: list[str] = []

    def counted(connection: sa.Connection, live: Any, side: Any) -> None:
        put_in_place(connection, live, side)
        replaced.append(live.projection.name)

    monkeypatch.setattr(room, "put_in_place", counted)
    record_example(engine, "article")
    rebuild_all(engine, PROJECTIONS, now)
    right = state(engine)
    put_drift(engine)
    wrong = state(engine)
    rebuild(engine, RELEASES, now)
    replaced.clear()

    outcomes = []
    with hammered(engine, replaced) as seen:
        for number in range(REBUILDS):
            if number % 10 in (0, 2, 5):
                put_drift(engine)
            monkeypatch.setattr("ledger.work.MENDED_IN_PLACE", 0 if number % 5 == 0 else 1)
            outcomes.append(rebuild(engine, RELEASES, now).outcome)

    assert len(replaced) == REPLACED
    assert outcomes.count("drift") == REPLACED + MENDED
    assert all(reading.state in (right, wrong) for reading in seen)
    assert len({reading.replaced for reading in seen}) > REPLACED // 4
    assert wrong in [reading.state for reading in seen]
    assert state(engine) == right
