"""Running totals of releases by day, by a rule that is not the usual one.

Takes the releases one by one, gross; hands on by how much the running bounds change, and on which
days. A release counts as at least from its last day on, as at most from its first; what was undone
is off the low from the first day on which it may have been, off the high from the last.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ledger.projections.person_counts import Fewest, Most
from ledger.projections.release_list import Release, Rule, less
from ledger.projections.release_sums import Sum
from ledger.projections.release_totals import Scope

NEVER = ""
"""Stands for an open first day: before every other."""


class _Change(NamedTuple):
    """How a release counts from a day on."""

    day: str
    before: Release | None
    """How it did; None: not yet."""
    after: Release


def by_day(gross: Sequence[Release], scope: Scope, rule: Rule) -> list[Sum]:
    """Return the changes; those of the low have the day as `until`, too."""
    lows = [
        change for one in gross if one.last is not None
        for change in _changes(one, one.last, scope.until)
    ]
    since = scope.since or NEVER
    highs = [
        change for one in gross
        for change in _changes(one, max(one.first or NEVER, since), scope.until)
    ]
    if rule.persons:
        return [*_of_persons(gross, lows, highs)]
    return [*map(_of_low, lows), *map(_of_high, highs)]


def _changes(one: Release, begins: str, until: str | None) -> Iterator[_Change]:
    undone, before = one.undone, None
    ends = () if undone is None else (undone.first or NEVER, undone.last or NEVER)
    for day in sorted({begins, *(end for end in ends if end > begins)}):
        if until is None or day <= until:
            after = less(one, day)
            yield _Change(day, before, after)
            before = after


def _of_low(change: _Change) -> Sum:
    low = change.after.total.low - (change.before.total.low if change.before else 0)
    low = low if change.after.within else 0
    return Sum(change.day, change.day, low, 0, 0, 0, 0, 0)


def _of_high(change: _Change) -> Sum:
    before, high = change.before, change.after.total.high
    if high is None:
        return _begun(change, 0 if before else None)
    return _begun(change, high - (before.total.high or 0 if before else 0))


def _begun(change: _Change, high: int | None) -> Sum:
    return Sum(change.day, None, 0, high, change.after.disputed, int(change.before is None), 0, 0)


def _of_persons(
    gross: Sequence[Release], lows: Sequence[_Change], highs: Sequence[_Change]
) -> Iterator[Sum]:
    fewest, most = Fewest(gross), Most()
    days: dict[str, list[tuple[Fewest | Most, _Change]]] = {}
    for side, changes in ((fewest, lows), (most, highs)):
        for change in changes:
            days.setdefault(change.day, []).append((side, change))
    low, high = 0, 0
    for day in sorted(days):
        for side, change in days[day]:
            if side is most:
                yield _begun(change, 0)
            if side is most or change.after.within:
                _exchange(side, change)
        at_most = most.number
        at_least = fewest.number if at_most is None else min(fewest.number, at_most)
        yield Sum(day, day, at_least - low, 0, 0, 0, 0, 0)
        yield Sum(day, None, 0, None if at_most is None else at_most - high, 0, 0, 0, 0)
        low, high = at_least, at_most or 0


def _exchange(side: Fewest | Most, change: _Change) -> None:
    if change.before is not None:
        side.take(change.before)
    side.add(change.after)
