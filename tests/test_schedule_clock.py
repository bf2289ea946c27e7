"""The clock of a scheduler: what it does when the clock jumps, or time passes while it starts."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
import sqlalchemy as sa
from command_line import ROOT, environment
from test_schedule import entry, rows, wait_until

from ledger.book import now
from ledger.cli.start import VARIABLE
from ledger.schedule.commands import Place, read_moment
from ledger.schedule.declaration import Schedule, read_schedules
from ledger.schedule.running import run_schedules
from ledger.store.append import format_time
from ledger.store.connect import connect
from ledger.store.scheduled_runs import end_abandoned


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test works in a folder of its own, in which processes find the checkout."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)


@contextmanager
def scheduling(place: Place, schedule: Schedule) -> Iterator[None]:
    """Let a scheduler of one schedule run meanwhile, in a thread."""
    over = threading.Event()
    scheduler = threading.Thread(
        target=run_schedules, args=(place, [schedule], "me", over.is_set))
    scheduler.start()
    try:
        yield
    finally:
        over.set()
        scheduler.join()


def test_a_clock_that_is_set_forward(
    sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a pause of the machine, or another jump of its clock, a slot runs within its grace."""
    Path("ledger.toml").write_text(entry("daily", "status", "every = '1 day'"))
    (daily,) = read_schedules(Path("ledger.toml"), lambda _: None)
    jump = daily.slots.after(datetime.now(UTC)) - datetime.now(UTC)
    ahead = [timedelta(0)]

    class Clock:
        @staticmethod
        def now(zone: tzinfo = UTC) -> datetime:
            return datetime.now(zone) + ahead[0]

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Clock)
    monkeypatch.setattr("apscheduler.executors.base.datetime", Clock)
    engine = connect(sqlite_database)
    place = Place(engine, Clock.now, environment() | {VARIABLE: sqlite_database})
    with scheduling(place, daily):
        time.sleep(1)
        ahead[0] = jump + timedelta(seconds=1)
        wait_until(lambda: rows(engine, "ok"))
    (row,) = rows(engine)
    assert row.how == "schedule"


def test_a_slot_that_passes_while_the_leader_starts(
    sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is run as soon as the leader can, within its grace: who waits for a writer loses none."""
    Path("ledger.toml").write_text(entry("often", "status", "every = '2 seconds'"))
    (often,) = read_schedules(Path("ledger.toml"), lambda _: None)
    engine = connect(sqlite_database)

    def end_abandoned_later(connection: sa.Connection, at: str, why: str) -> int:
        passing = often.slots.after(read_moment(at)) - read_moment(at)
        time.sleep(passing.total_seconds() + 0.2)  # as if another writer held the database
        return end_abandoned(connection, at, why)

    monkeypatch.setattr("ledger.schedule.running.end_abandoned", end_abandoned_later)
    place = Place(engine, now, environment() | {VARIABLE: sqlite_database})
    before = now()
    with scheduling(place, often):
        wait_until(lambda: rows(engine, "ok"))
    assert rows(engine)[-1].slot == format_time(often.slots.after(before))
