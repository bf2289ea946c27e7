"""The scheduler: one leader among any number of processes runs commands at their slots.

Takes Schedules and a Place; runs until it is told to stop. APScheduler says when (from memory, in
UTC); what runs is a command that can be run by hand, and what became of it is a row. A process that
is not the leader stands by and asks every second whether it may be.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from ledger.errors import CouldNot
from ledger.schedule.commands import Place, claim, read_moment, run_claimed, say, skip
from ledger.schedule.declaration import Schedule
from ledger.store.append import format_time
from ledger.store.connect import changing, reading
from ledger.store.locks import Check, alone
from ledger.store.scheduled_runs import CATCHING_UP, end_abandoned, forget_run, last_slot

LOCK = "schedule"
ASK_SECONDS = 1.0
"""How often a process that stands by asks for the lead, and the leader whether it still has it."""
LOOK_SECONDS = 0.1
"""How often a process looks whether it is to stop."""
ABANDONED = "the scheduler ended before the command did"
BUSY = "the run before it was still going"
STOPPED = "the scheduler was stopped before it began"

Stopping = Callable[[], bool]


def run_schedules(
    place: Place, schedules: Sequence[Schedule], holder: str, stopping: Stopping
) -> None:
    """Lead, or stand by until there is no leader; returns when told to stop.

    A command that is running then is waited for. Raises CouldNot where the lead is lost, and where
    the ledger no longer takes rows: nothing is run that cannot be remembered.
    """
    with ExitStack() as lead:
        check = _wait_for_lead(lead, place, holder, stopping)
        if check is None:
            say("stopped", was="standing by")
            return
        say("leading", holder=holder, schedules=[schedule.name for schedule in schedules])
        _Lead(place, schedules, check).last_until(stopping)
        say("stopped", was="leading")


def _wait_for_lead(
    lead: ExitStack, place: Place, holder: str, stopping: Stopping
) -> Check | None:
    """Take the lock and return its check; None when told to stop before that."""
    told = False
    while not stopping():
        try:
            return lead.enter_context(alone(place.engine, LOCK, holder))
        except CouldNot as taken:
            if not told:
                say("standing by", why=str(taken))
                told = True
        _pause(stopping)
    return None


def _pause(stopping: Stopping) -> None:
    """Wait until it is time to ask for the lead again, or to stop."""
    until = time.monotonic() + ASK_SECONDS
    while time.monotonic() < until and not stopping():
        time.sleep(LOOK_SECONDS)


# A subclass with this method is how APScheduler is extended by executors of one's own (its user
# guide, "Extending"); it has no types and nobody publishes any, so its classes are Any to mypy.
# Nowhere else could a job learn for which slot it runs: the event that says so
# (EVENT_JOB_SUBMITTED) comes when it may have begun.
class _Pool(ThreadPoolExecutor):  # type: ignore[misc]
    """Threads that are told which slot they run: APScheduler itself does not tell a job."""

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        job.kwargs = {"slot": run_times[-1]}  # one instance of a job at a time: nobody reads it
        super()._do_submit_job(job, run_times)


class _Lead:
    """The time in which this process leads."""

    def __init__(self, place: Place, schedules: Sequence[Schedule], check: Check) -> None:
        self._place, self._check = place, check
        self._schedules = {schedule.name: schedule for schedule in schedules}
        # A catching-up run and a regular one are two jobs to APScheduler, and never run at once.
        self._busy = {schedule.name: threading.Lock() for schedule in schedules}
        self._stop = threading.Event()
        self._failures: list[BaseException] = []

    def last_until(self, stopping: Stopping) -> None:
        """Run what is due until told to stop, then wait for what is running."""
        now = self._place.clock()
        late = self._late_slots(now)
        scheduler = self._scheduler(now)
        for name, slot in late:
            scheduler.add_job(
                self._catch_up, args=[name, slot], id=f"{name} late", misfire_grace_time=None,
                executor="late",
            )

        def over() -> bool:
            return stopping() or bool(self._failures)

        with _started(scheduler, self._stop):
            while not over():
                self._check()
                scheduler.wakeup()  # it sleeps by another clock, which a paused machine stops
                _pause(over)
        for failure in self._failures[:1]:
            why = str(getattr(failure, "orig", None) or failure)  # a driver's words, without SQL
            raise CouldNot("go on with the schedule", why) from failure

    def _scheduler(self, since: datetime) -> BackgroundScheduler:
        """Return a scheduler of every slot after that, also of one that passes before it starts."""
        many = max(1, len(self._schedules))
        pools = {"default": _Pool(many), "late": ThreadPoolExecutor(many)}
        scheduler = BackgroundScheduler(timezone=UTC, executors=pools)
        scheduler.add_listener(self._on_max_instances, EVENT_JOB_MAX_INSTANCES)
        scheduler.add_listener(self._on_missed, EVENT_JOB_MISSED)
        scheduler.add_listener(lambda event: self._failures.append(event.exception),
                               EVENT_JOB_ERROR)
        for schedule in self._schedules.values():
            scheduler.add_job(
                self._run, schedule.slots.trigger, args=[schedule.name],
                kwargs={"slot": None}, id=schedule.name, coalesce=True, max_instances=1,
                misfire_grace_time=schedule.grace,
                next_run_time=schedule.slots.first(since),
            )
        return scheduler

    def _late_slots(self, now: datetime) -> list[tuple[str, datetime]]:
        """Claim the last slot of every schedule that passed while nobody led; and say what did."""
        with changing(self._place.engine) as connection:
            left = end_abandoned(connection, format_time(now), ABANDONED)
        if left:
            say("abandoned", logging.WARNING, runs=left, why=ABANDONED)
        return [
            (schedule.name, slot)
            for schedule in self._schedules.values()
            if (slot := self._late_slot(schedule, now))
            and claim(self._place, schedule, slot, CATCHING_UP)
        ]

    def _late_slot(self, schedule: Schedule, now: datetime) -> datetime | None:
        with reading(self._place.engine) as connection:
            last = last_slot(connection, schedule.name)
        passed = schedule.slots.between(read_moment(last), now) if last else None
        return passed[1] if passed else None

    def _catch_up(self, name: str, slot: datetime) -> None:
        with self._busy[name]:
            run_claimed(self._place, self._schedules[name], slot)

    def _run(self, name: str, slot: datetime) -> None:
        schedule = self._schedules[name]
        if not self._busy[name].acquire(blocking=False):
            skip(self._place, schedule, slot, "coalesced", BUSY)
            return
        try:
            if not self._stop.is_set() and claim(self._place, schedule, slot):
                self._run_after_jitter(schedule, slot)
        finally:
            self._busy[name].release()

    def _run_after_jitter(self, schedule: Schedule, slot: datetime) -> None:
        if schedule.jitter and self._stop.wait(random.uniform(0, schedule.jitter)):
            with changing(self._place.engine) as connection:  # the next leader catches up
                forget_run(connection, schedule.name, format_time(slot))
                is_first = last_slot(connection, schedule.name) is None
            if is_first:  # it would not know since when
                skip(self._place, schedule, slot, "missed", STOPPED)
            return
        run_claimed(self._place, schedule, slot)

    def _on_max_instances(self, event: Any) -> None:
        self._skip(event.job_id, event.scheduled_run_times[-1], "coalesced", BUSY)

    def _on_missed(self, event: Any) -> None:
        grace = self._schedules[event.job_id].grace
        why = f"it could not start within its grace of {grace} s"
        self._skip(event.job_id, event.scheduled_run_time, "missed", why)

    def _skip(self, name: str, slot: datetime, outcome: str, why: str) -> None:
        try:
            skip(self._place, self._schedules[name], slot, outcome, why)
        except Exception as failure:  # APScheduler would only log it
            self._failures.append(failure)


@contextmanager
def _started(scheduler: BackgroundScheduler, stop: threading.Event) -> Iterator[None]:
    scheduler.start()
    try:
        yield
    finally:
        stop.set()
        scheduler.shutdown(wait=True)
