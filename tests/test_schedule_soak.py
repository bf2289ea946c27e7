"""Two schedulers on one ledger for a while, and a leader that is killed again and again.

The variable LEDGER_SOAK_SECONDS says how long each test lasts: a few seconds every day, 60 or more
where there is time. A leader is killed every 15 seconds, and once at least.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import sqlalchemy as sa
from schedulers import Crew, Scheduler, crew, wait_until

from ledger.schedule.timing import read_every
from ledger.store.append import format_time
from ledger.store.connect import changing, reading
from ledger.store.scheduled_runs import ScheduledRun, add_run, read_runs

SECONDS = int(os.environ.get("LEDGER_SOAK_SECONDS", "2"))
LEADERS = max(1, SECONDS // 15)
"""How many leaders are killed, one after the other."""
TAKEN_OVER_WITHIN = timedelta(seconds=5)

FAST, SLOW, HOURLY = "fast", "slow", "hourly"
DECLARED = """
[[schedule]]
name = "fast"
command = "status"
every = 1
[[schedule]]
name = "slow"
command = "projections rebuild releases"
every = 1
[[schedule]]
name = "hourly"
command = "status"
every = "1 hour"
"""


def rows(engine: sa.Engine, name: str) -> list[ScheduledRun]:
    """Return what became of the slots of a schedule, the oldest first."""
    with reading(engine) as connection:
        return read_runs(connection, name, 10_000)[::-1]


def leave_for_a_night(engine: sa.Engine) -> int:
    """Record a run of last evening; return how many slots have passed since then."""
    now, hours = datetime.now(UTC), read_every("1 hour")
    evening = hours.after(now - timedelta(hours=12, minutes=30))
    row = ScheduledRun(HOURLY, format_time(evening), "schedule", "ok")
    with changing(engine) as connection:
        add_run(connection, row)
    passed = hours.between(evening, now)
    assert passed is not None
    return passed[2]


def lead_and_die(found: Crew) -> Scheduler:
    """Let two run for a while, and kill the one that leads."""
    while found.running < 2:
        found.add()
    leader = found.leader
    wait_until(lambda: found.standing_by)
    wait_until(lambda: seconds_of(leader) >= SECONDS / LEADERS)
    leader.kill()
    return leader


def seconds_of(leader: Scheduler) -> float:
    """Return how far the slots that it started reach."""
    slots = [datetime.fromisoformat(slot) for slot in leader.started(FAST)]
    return (slots[-1] - slots[0]).total_seconds() if slots else 0


def seconds_between(found: Sequence[ScheduledRun]) -> int:
    """Return how many slots there are from the first to the last, in a schedule of 1 second."""
    first, last = (datetime.fromisoformat(row.slot) for row in (found[0], found[-1]))
    return int((last - first).total_seconds()) + found[-1].slots


def test_two_schedulers_for_a_while(engine: sa.Engine, database: str, tmp_path: Path) -> None:
    """No slot starts twice or is lost, whoever is killed, and the other leads within 5 seconds."""
    (tmp_path / "ledger.toml").write_text(DECLARED)
    passed = leave_for_a_night(engine)
    with crew(tmp_path, database) as found:
        leaders = [lead_and_die(found) for _ in range(LEADERS)]
        leaders.append(found.leader)
        wait_until(lambda: leaders[-1].started(FAST))
        assert leaders[-1].stop() == 0

    for name in (FAST, SLOW):
        started = [slot for one in found.all for slot in one.started(name)]
        assert len(started) == len(set(started))
        recorded = rows(engine, name)
        assert set(started) <= {row.slot for row in recorded if row.outcome in ("ok", "failed")}
        assert sum(row.slots for row in recorded) == seconds_between(recorded)
        assert {row.outcome for row in recorded} <= {"ok", "failed", "missed", "coalesced"}
    assert {one for one in found.all if one.logged("leading")} == set(leaders)
    assert all(gap <= TAKEN_OVER_WITHIN for gap in gaps(engine, leaders))
    check_the_night(engine, passed)


def gaps(engine: sa.Engine, leaders: Sequence[Scheduler]) -> list[timedelta]:
    """Return the time from the last start by each leader to the first by the next, as recorded."""
    at = {row.slot: row.started_at for row in rows(engine, FAST)}
    found = []
    for dead, heir in pairwise(leaders):
        last, first = at[dead.started(FAST)[-1]], at[heir.started(FAST)[0]]
        assert last is not None
        assert first is not None
        found.append(datetime.fromisoformat(first) - datetime.fromisoformat(last))
    return found


def check_the_night(engine: sa.Engine, passed: int) -> None:
    """The slots of the night are one late run and one miss, however many schedulers there were."""
    _, missed, late, *later = rows(engine, HOURLY)
    assert (missed.outcome, late.how) == ("missed", "catch_up")
    assert missed.slots - passed in (-1, 0)  # 0 where the hour turned before anybody led
    assert {row.how for row in later} <= {"schedule"}
