"""The schedule, with real processes on both databases: no slot twice, none lost without a row."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from command_line import ROOT, command, data_of, environment, run
from test_locks import lose_locks

from ledger.errors import BadValue
from ledger.schedule.timing import read_cron, read_every
from ledger.store.append import format_time
from ledger.store.connect import changing, connect, reading
from ledger.store.scheduled_runs import ScheduledRun, add_run, read_runs

OUTPUT = Path("output")
HUNG = 60
"""Seconds after which a test gives up."""
RECORD = """
- {kind: PrisonersReleased, development: r, when: 2025-12-13, by: Belarus, total: 3,
   provenance: {publisher: A Newspaper, url: https://example.org/a}}
"""


def entry(name: str, command: str, when: str) -> str:
    """Return one entry of ledger.toml."""
    return f'[[schedule]]\nname = "{name}"\ncommand = "{command}"\n{when}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, which the processes start in and find the checkout from."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Scheduler:
    """A process that runs `ledger schedule run`, and what it has logged."""

    def __init__(self, name: str, database: str) -> None:
        self._log = Path(f"{name}.log")
        with self._log.open("wb") as errors, OUTPUT.open("ab") as output:
            self.process = subprocess.Popen(
                command("schedule", "run", "--db", database), env=environment(), stderr=errors,
                stdout=output,
            )

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log's lines about one kind of thing; each line is a JSON object."""
        lines = self._log.read_text("utf-8").split("\n")[:-1]
        return [line for line in map(json.loads, lines) if line["event"] == event]

    def end(self, number: int) -> int:
        """Send a signal and return how the process ended."""
        self.process.send_signal(number)
        return self.process.wait(HUNG)


@contextmanager
def schedulers(database: str, *names: str) -> Iterator[list[Scheduler]]:
    """Start schedulers; those that still run at the end are killed."""
    running = [Scheduler(name, database) for name in names]
    try:
        yield running
    finally:
        for scheduler in running:
            scheduler.process.kill()
            scheduler.process.wait(HUNG)


def wait_until(holds: Callable[[], object]) -> None:
    """Return when it holds; fail when it seems that it never will."""
    give_up = time.monotonic() + HUNG
    while not holds():
        assert time.monotonic() < give_up, "it never came"
        time.sleep(0.05)


def rows(engine: sa.Engine, *outcomes: str) -> list[ScheduledRun]:
    """Return the recorded runs of those outcomes, or all, the oldest slot first."""
    with reading(engine) as connection:
        found = read_runs(connection, None, 1000)
    return [row for row in reversed(found) if not outcomes or row.outcome in outcomes]


def test_two_schedulers_and_a_kill(engine: sa.Engine, database: str, folder: Path) -> None:
    """One of two leads, no slot starts twice, and the other goes on when the leader is killed."""
    Path("ledger.toml").write_text(entry("fast", "status --format json", "every = 1"))
    with schedulers(database, "a", "b") as both:
        wait_until(lambda: any(len(one.logged("ended")) >= 3 for one in both))
        leader, other = sorted(both, key=lambda one: not one.logged("leading"))
        wait_until(lambda: other.logged("standing by"))
        assert other.logged("leading") == other.logged("started") == []

        leader.end(signal.SIGKILL)
        wait_until(lambda: len(other.logged("ended")) >= 3)
        assert other.end(signal.SIGTERM) == 0

        started = [line["slot"] for one in both for line in one.logged("started")]
    assert str(leader.process.pid) in other.logged("standing by")[0]["why"]
    assert len(started) == len(set(started)) >= 6
    assert set(started) <= {row.slot for row in rows(engine)}
    # A command that outlives its killed leader prints its answer, but nobody hears its end.
    printed = OUTPUT.read_text("utf-8").count('"diagnostics"')
    assert len(rows(engine, "ok")) <= printed <= len(started)
    assert all_slots(rows(engine)) == seconds_between(rows(engine))


def all_slots(found: list[ScheduledRun]) -> int:
    return sum(row.slots for row in found)


def seconds_between(found: list[ScheduledRun]) -> int:
    first, last = (datetime.fromisoformat(row.slot) for row in (found[0], found[-1]))
    return int((last - first).total_seconds()) + found[-1].slots


def test_a_long_command_is_waited_for(engine: sa.Engine, database: str, folder: Path) -> None:
    """Slots that come while a command runs are coalesced with it; SIGTERM lets it end."""
    os.mkfifo("slow.yaml")
    Path("ledger.toml").write_text(entry("slow", "record slow.yaml --by timer", "every = 1"))
    with schedulers(database, "a") as (scheduler,):
        wait_until(lambda: len(rows(engine, "coalesced")) >= 2)
        scheduler.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert scheduler.process.poll() is None
        assert [row.outcome for row in rows(engine, "running", "ok")] == ["running"]
        Path("slow.yaml").write_text(RECORD)
        assert scheduler.process.wait(HUNG) == 0

    (ended,) = rows(engine, "ok")
    assert (ended.exit_code, ended.how) == (0, "schedule")
    assert {row.detail for row in rows(engine, "coalesced")} == {
        "the run before it was still going"
    }
    assert len(scheduler.logged("started")) == 1


def test_downtime(engine: sa.Engine, database: str, folder: Path) -> None:
    """After a night without a scheduler there is one late run, one miss, and no command left."""
    Path("ledger.toml").write_text(entry("hourly", "status", 'every = "1 hour"'))
    now = datetime.now(UTC)
    evening = read_every("1 hour").after(now - timedelta(hours=12, minutes=30))
    with changing(engine) as connection:
        add_run(connection, ScheduledRun("hourly", format_time(evening), "schedule", "running"))
    with schedulers(database, "a") as (scheduler,):
        wait_until(lambda: rows(engine, "ok"))
        assert scheduler.end(signal.SIGTERM) == 0

    left, missed, late = rows(engine)
    passed = read_every("1 hour").between(evening, now)
    assert passed is not None
    assert (left.outcome, left.detail) == ("failed", "the scheduler ended before the command did")
    assert (missed.outcome, missed.slots) == ("missed", passed[2] - 1)
    assert "slots were missed" in (missed.detail or "")
    assert (late.how, late.outcome, late.slot) == ("catch_up", "ok", format_time(passed[1]))


def test_by_hand(folder: Path, sqlite_database: str) -> None:
    """What is declared can be listed and run by hand; the run is recorded with what it said."""
    look = entry("look", "ledger status", "cron = '30 2 * * 1-5'")
    Path("ledger.toml").write_text(look + entry("no", "show 9", "every = 60"))
    run("schedule", "trigger", "look", "--db", sqlite_database)
    said = run("schedule", "trigger", "no", "--db", sqlite_database, code=3).stderr
    assert said == "no ended with exit code 3; `ledger schedule runs no` shows what it said\n"
    assert "declares look, no" in run("schedule", "trigger", "x", code=4).stderr

    failed, looked = data_of("schedule", "runs", "--db", sqlite_database)
    assert (looked["name"], looked["outcome"], looked["how"]) == ("look", "ok", "trigger")
    assert (failed["outcome"], failed["exit_code"]) == ("failed", 3)
    assert "position 9 is not in this ledger" in failed["detail"]
    other = run("schedule", "runs", "lok", "--db", sqlite_database)
    assert other.stderr == "note: no run of lok is recorded; there are runs of look, no\n"
    declared = data_of("schedule", "list")
    assert [(d["name"], d["command"]) for d in declared] == [
        ("look", ["status"]), ("no", ["show", "9"])
    ]
    assert len(data_of("schedule", "next", "-n", "3")) == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_by_hand_is_stopped(folder: Path, sqlite_database: str, number: int) -> None:
    """Ctrl-C or SIGTERM stops a command that was started by hand, and its row says how it ended."""
    os.mkfifo("slow.yaml")
    Path("ledger.toml").write_text(entry("slow", "record slow.yaml --by timer", "every = 60"))
    words = command("schedule", "trigger", "slow", "--db", sqlite_database)
    engine = connect(sqlite_database)
    with subprocess.Popen(words, env=environment(), stderr=subprocess.DEVNULL) as trigger:
        writer = os.open("slow.yaml", os.O_WRONLY)  # waits until the command reads
        trigger.send_signal(number)
        assert trigger.wait(HUNG) == 130
        os.close(writer)

    (row,) = rows(engine)
    assert (row.outcome, row.exit_code) == ("failed", 130)
    assert row.detail == "stopped; nothing was recorded"
    assert row.ended_at is not None


SOUND = entry("a", "status", "every = 60")
BAD = (
    (SOUND + "[[schedule]\n", 5, "Expected"),
    (SOUND + "[[schedules]]\n", 5, "schedules is not known here, wanted [[schedule]]"),
    ("[schedule]\nname = 'a'\n", 1, "in double brackets"),
    (SOUND + "when = 3\n", 5, "when is not a key here"),
    (entry("a", "status", ""), 1, "wanted one of cron and every"),
    (entry("a", "status", "every = 1\ncron = '* * * * *'"), 1, "wanted one of cron and every"),
    (entry("a", "status", "cron = '0 0 31 2 *'"), 4, "a day that the calendar has"),
    (entry("a", "status", "cron = '61 * * * *'"), 4, "higher than the maximum"),
    (entry("a", "status", "cron = '0 0 1 * 1'"), 4, "not both"),
    (entry("a", "status", "every = '3 fortnights'"), 4, "got '3 fortnights'"),
    (entry("a", "status", "every = 0"), 4, "got 0"),
    (SOUND + SOUND, 6, "'a' stands twice"),
    (entry("a", "statsu", "every = 1"), 3, "a command of the ledger"),
    (entry("a", "projections", "every = 1"), 3, "a command of the ledger"),
    (entry("a", "status --nosuch", "every = 1"), 3, "No such option"),
    (entry("a", "show", "every = 1"), 3, "Missing"),
    (entry("a", "diff", "every = 1"), 3, "Missing"),
    (entry("a", "status --format xml", "every = 1"), 3, "'xml'"),
    (entry("a", "schedule", "every = 1"), 3, "not a schedule itself"),
    (entry("a", "projections rebuild nosuch", "every = 1"), 3, "got 'nosuch'"),
    (entry("a", "projections catch-up talks nosuch", "every = 1"), 3, "got 'nosuch'"),
    (entry("a", "status --db x", "every = 1"), 3, "no --db"),
    (entry("a", "schedule run", "every = 1"), 3, "not a schedule itself"),
    (entry("A b", "status", "every = 1"), 2, "small letters"),
    (SOUND + "grace = 'long'\n", 5, "grace: got 'long'"),
    (SOUND + "jitter = -1\n", 5, "jitter: got -1"),
    ('[[schedule]]\ncommand = """\n[[schedule]]\nname = 1\n"""\nname = "a"\nevery = 0', 7, "got 0"),
    ("# which\n" + SOUND + "schedule = [1]\n", 6, "schedule is not a key here"),
    (SOUND + SOUND.replace('"a"', '"b"') + "schedule = [1]\n", 9, "schedule is not a key here"),
    (SOUND + "[schedule.more]\nname = 1\n", 5, "more is not a key here"),
    ("# which\n\nschedule = [1]\n", 3, "got 1, wanted a table: name, command"),
    ("schedule = [ # {\n  {name = 'a', command = 'status', every = 1},\n"
     "  {name = 'b', command = 'status', every = 0},\n]\n", 3, "got 0"),
    ("# a \u2028 b \x85 c\n" + SOUND + "when = 3\n", 6, "when is not a key here"),
    ("# which\nschedule = 1\n", 2, "in double brackets"),
    (SOUND + "[name]\n", 5, "name is not known here"),
)


@pytest.mark.parametrize(("toml", "line", "said"), BAD)
def test_faults_are_named_by_line(toml: str, line: int, said: str, folder: Path) -> None:
    """A fault in ledger.toml is refused with the file and the line of the fault."""
    Path("ledger.toml").write_text(toml)
    refusal = run("schedule", "list", code=3).stderr
    assert f"ledger.toml, line {line}: " in refusal
    assert said in refusal


@pytest.mark.parametrize("command", [
    "audit verify --vkey later.vkey", "record later.yaml", "projections rebuild", "status",
    "projections rebuild talks releases --check", "answer releases --state BY --format csv",
    "audit head --key later.key", "show 9",
])
def test_files_may_come_later(command: str, folder: Path) -> None:
    """A command is declared before the files that it will read are there."""
    Path("ledger.toml").write_text(entry("a", command, "every = 1"))
    (declared,) = data_of("schedule", "list")
    assert declared["command"] == command.split()


START = datetime(2025, 12, 13, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("line", "days"),
    [
        ("0 0 * * 0", "14 21 28"), ("0 0 * * 7", "14 21 28"), ("0 0 * * sun", "14 21 28"),
        ("0 0 * * 1", "15 22 29"), ("0 0 * * 5-7", "13 14 19"), ("0 0 * * sat-mon", "13 14 15"),
        ("0 0 * * */2", "13 14 16"), ("0 0 * * 1,3", "15 17 22"), ("0 0 */10 * *", "21 31 1"),
    ],
)
def test_days_of_the_week_are_those_of_cron(line: str, days: str) -> None:
    """A crontab line comes due on the days that cron would take."""
    moment, found = START - timedelta(seconds=1), []
    for _ in range(3):
        moment = read_cron(line).after(moment)
        found.append(str(moment.day))
    assert " ".join(found) == days


def test_slots_between() -> None:
    """Slots of a downtime are counted without its ends, and the last one is found far away."""
    minutes = read_every("15 minutes")
    hour = START + timedelta(hours=1)
    quarter = timedelta(minutes=15)
    assert minutes.between(START, hour) == (START + quarter, hour - quarter, 3)
    assert minutes.between(START, START + quarter) is None
    year = START + timedelta(days=365)
    assert read_cron("* * * * *").between(START, year) == (
        START + timedelta(minutes=1), year - timedelta(minutes=1), 10_000
    )
    with pytest.raises(BadValue):
        read_every(True)


def test_what_went_wrong_stands_out_in_the_log(
    engine: sa.Engine, database: str, folder: Path
) -> None:
    """A failed command is logged as an error with what it said; what was not run is a warning."""
    Path("ledger.toml").write_text(entry("no", "show 9", "every = 1"))
    before = format_time(datetime.now(UTC) - timedelta(seconds=30))[:20] + "000000Z"
    with changing(engine) as connection:
        add_run(connection, ScheduledRun("no", before, "schedule", "running"))
    with schedulers(database, "a") as (scheduler,):
        wait_until(lambda: scheduler.logged("ended"))
        assert scheduler.end(signal.SIGTERM) == 0

    for event, level in (("ended", "error"), ("missed", "warning"), ("abandoned", "warning")):
        assert {line["level"] for line in scheduler.logged(event)} == {level}
    assert "position 9 is not in this ledger" in scheduler.logged("ended")[0]["why"]


def test_a_leader_that_lost_the_lead(engine: sa.Engine, database: str, folder: Path) -> None:
    """A leader whose lock is gone, or whose ledger was replaced, says so and ends with code 4."""
    Path("ledger.toml").write_text(entry("fast", "status", "every = 1"))
    with schedulers(database, "a") as (scheduler,):
        wait_until(lambda: scheduler.logged("ended"))
        lose_locks(engine)
        assert scheduler.process.wait(HUNG) == 4
        (failed,) = scheduler.logged("failed")

    assert failed["level"] == "error"
    assert "could not go on with schedule: its lock was lost: " in failed["why"]


def test_a_ledger_that_takes_no_rows(engine: sa.Engine, database: str, folder: Path) -> None:
    """A scheduler that cannot record its runs says why in one line of its log; its code is 4."""
    Path("ledger.toml").write_text(entry("fast", "status", "every = 1"))
    with schedulers(database, "a") as (scheduler,):
        wait_until(lambda: scheduler.logged("ended"))
        with changing(engine) as connection:
            connection.exec_driver_sql("ALTER TABLE scheduled_runs RENAME TO elsewhere")
        assert scheduler.process.wait(HUNG) == 4
        (failed,) = scheduler.logged("failed")

    assert failed["why"].startswith("could not go on with the schedule: ")
    assert "scheduled_runs" in failed["why"]
    assert "sqlalche.me" not in failed["why"]
