"""When a command is due: the slots of a crontab line or of an interval, always in UTC.

Takes text from `ledger.toml`; hands on Slots, which are the same for every process that reads the
same text: an interval counts from 1970-01-01T00:00Z and not from the start of a process.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from ledger.errors import BadValue

COUNTED_AT_MOST = 10_000
"""Slots of a downtime that are counted; more are not told apart."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_WEEK = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_DAYS_AT_MOST = 366
_EVERY = "a time of 1 second to 366 days, like \"15 minutes\", \"1 day\" or a number of seconds"
_CRON = "five fields of a crontab: minute, hour, day of month, month, day of week"
_PART = re.compile(r"(\*|(\w+)(?:-(\w+))?)(?:/([1-9]\d*))?")


@dataclass(frozen=True, slots=True)
class Slots:
    """The moments at which something is due."""

    trigger: Any
    """The trigger of APScheduler that gives them."""

    def first(self, since: datetime) -> datetime:
        """Return the first slot at or after a moment."""
        found: datetime = self.trigger.get_next_fire_time(None, since)
        return found

    def after(self, moment: datetime) -> datetime:
        """Return the first slot after a moment."""
        return self.first(moment + _TICK)

    def between(self, since: datetime, until: datetime) -> tuple[datetime, datetime, int] | None:
        """Return the first and last slot after `since` and before `until`, and their number.

        None where there is none. The number stops at COUNTED_AT_MOST.
        """
        first = slot = self.after(since)
        if first >= until:
            return None
        number = 1
        while number < COUNTED_AT_MOST and (following := self.after(slot)) < until:
            slot, number = following, number + 1
        return first, slot if number < COUNTED_AT_MOST else self._last(first, until), number

    def _last(self, since: datetime, until: datetime) -> datetime:
        """Return the last slot before a moment; `since` is a slot before it."""
        back = timedelta(seconds=1)
        while self.first(max(since, until - back)) >= until:
            back *= 2
        slot = self.first(max(since, until - back))
        while (following := self.after(slot)) < until:
            slot = following
        return slot


def read_every(given: object) -> Slots:
    """Return the slots of an interval: "15 minutes", or a number of seconds. Raises BadValue."""
    words = f"{given} seconds" if type(given) is int else str(given)
    match = re.fullmatch(r"([1-9]\d{0,9}) (second|minute|hour|day)s?", words)
    if match is None or type(given) not in (int, str):
        raise BadValue(given, _EVERY)
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > _DAYS_AT_MOST * 86_400:
        raise BadValue(given, _EVERY)
    return Slots(IntervalTrigger(seconds=seconds, start_date=_EPOCH, timezone=UTC))


def read_cron(given: object) -> Slots:
    """Return the slots of a crontab line, days of the week as crontab(5) counts them.

    Raises BadValue where it is none, where it never comes, and where both kinds of day are
    restricted: cron takes either, which is better said with two schedules.
    """
    fields = given.split() if isinstance(given, str) else []
    if len(fields) != 5:
        raise BadValue(given, _CRON)
    if not fields[2].startswith("*") and not fields[4].startswith("*"):
        raise BadValue(given, "a day of month or a day of week, not both: make it two schedules")
    try:
        line = " ".join([*fields[:4], _days_of_week(fields[4])])
        trigger = CronTrigger.from_crontab(line, timezone=UTC)
    except ValueError as refusal:
        raise BadValue(given, f"{_CRON} ({refusal})") from None
    if trigger.get_next_fire_time(None, _LONG_AGO) is None:
        raise BadValue(given, "a day that the calendar has")
    return Slots(trigger)


def _days_of_week(field: str) -> str:
    """Return the field as names: APScheduler's numbers start with Monday, cron's with Sunday."""
    days: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"got {part!r} as days of the week")
        if match[1] == "*":
            low, high = 0, 6
        else:
            low = _weekday(match[2])
            high = _weekday(match[3]) if match[3] else 6 if match[4] else low
        high += 7 if high < low else 0  # fri-mon goes over the end of the week
        days |= {day % 7 for day in range(low, high + 1, int(match[4] or 1))}
    return "*" if len(days) == 7 else ",".join(_WEEK[day] for day in sorted(days))


def _weekday(word: str) -> int:
    if word.lower() in _WEEK:
        return _WEEK.index(word.lower())
    if word.isdecimal() and int(word) <= 7:
        return int(word)
    raise ValueError(f"got {word!r} as a day of the week")
