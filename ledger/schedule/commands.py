"""One scheduled command, run as a process of its own and remembered.

Takes a Schedule and a slot; hands on the exit code. The row of the slot is there before the command
starts, so a slot that anybody has taken is never run again.
"""

import logging
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from ledger.schedule.declaration import Schedule
from ledger.schedule.timing import COUNTED_AT_MOST
from ledger.store.append import Clock, format_time
from ledger.store.connect import changing
from ledger.store.scheduled_runs import (
    BY_HAND,
    BY_SCHEDULE,
    RUNNING,
    ScheduledRun,
    add_run,
    end_run,
    last_slot,
)

LOG = logging.getLogger("ledger.schedule")
LOG.addHandler(logging.NullHandler())  # where nobody asked for a log, nothing is printed
REMEMBERED = 2_000
"""The last characters of a command's standard error that its row keeps."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where commands run, and what tells the time there."""

    engine: sa.Engine
    clock: Clock
    environment: Mapping[str, str]
    """Names the same ledger: commands are not told it where others could read it."""


def say(what: str, level: int = logging.INFO, **facts: Any) -> None:
    """Log one thing that happened, with its facts."""
    LOG.log(level, what, extra={"facts": facts})


def claim(place: Place, schedule: Schedule, slot: datetime, how: str = BY_SCHEDULE) -> bool:
    """Take a slot, before its command is run; False where it is taken.

    Slots between it and the last one that has a row were missed: they get one row together.
    """
    started = format_time(place.clock())
    run = ScheduledRun(schedule.name, format_time(slot), how, RUNNING, started_at=started)
    with changing(place.engine) as connection:
        if how != BY_HAND:
            _remember_gap(connection, schedule, slot)
        return add_run(connection, run)


def run_claimed(place: Place, schedule: Schedule, slot: datetime) -> int:
    """Run the command of a slot that was claimed, to its end; returns its exit code."""
    facts: dict[str, Any] = {"name": schedule.name, "slot": format_time(slot)}
    say("started", **facts, command=list(schedule.command))
    code, said = _run(schedule.command, place.environment)
    with changing(place.engine) as connection:
        end_run(connection, schedule.name, facts["slot"], format_time(place.clock()), code, said)
    if code == 0:
        say("ended", **facts, exit_code=code)
    else:
        say("ended", logging.ERROR, **facts, exit_code=code, why=said)
    return code


def skip(place: Place, schedule: Schedule, slot: datetime, outcome: str, why: str) -> None:
    """Remember a slot whose command is not run: missed, or coalesced with the run before it."""
    run = ScheduledRun(schedule.name, format_time(slot), BY_SCHEDULE, outcome, detail=why)
    with changing(place.engine) as connection:
        _remember_gap(connection, schedule, slot)
        is_new = add_run(connection, run)
    if is_new:
        say(outcome, logging.WARNING, name=schedule.name, slot=run.slot, why=why)


def run_by_hand(place: Place, schedule: Schedule) -> int:
    """Run a command now, whatever is due; returns its exit code. The run is remembered."""
    slot = place.clock()
    while not claim(place, schedule, slot, BY_HAND):
        slot += timedelta(microseconds=1)
    return run_claimed(place, schedule, slot)


def read_moment(text: str) -> datetime:
    """Return the moment that a row's text says."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _remember_gap(connection: sa.Connection, schedule: Schedule, slot: datetime) -> None:
    last = last_slot(connection, schedule.name)
    missed = None if last is None else schedule.slots.between(read_moment(last), slot)
    if missed is None:
        return
    first, final, number = missed
    more = " or more" if number == COUNTED_AT_MOST else ""
    slots = "slot was" if number == 1 else "slots were"
    detail = f"{number:,}{more} {slots} missed, up to {format_time(final)}"
    run = ScheduledRun(
        schedule.name, format_time(first), BY_SCHEDULE, "missed", slots=number, detail=detail
    )
    if add_run(connection, run):
        say("missed", logging.WARNING, name=schedule.name, slot=run.slot, slots=number, why=detail)


def _run(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run `ledger` with the arguments; returns its exit code and the end of its standard error.

    In a session of its own: Ctrl-C on the terminal of the scheduler does not reach it. Who runs it
    by hand is interrupted by Ctrl-C, which is handed on; how it ended is heard all the same.
    """
    command = [sys.executable, "-m", "ledger", *arguments]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stderr=errors,
            start_new_session=True,
        )
        while process.returncode is None:
            try:
                process.wait()
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
        code = process.returncode
        size = errors.seek(0, 2)
        errors.seek(max(0, size - 4 * REMEMBERED))
        said = errors.read().decode("utf-8", "replace").replace("\0", "").strip()
    return code, said[-REMEMBERED:]
