"""What releases add up to by a rule that is not the usual one.

Takes the releases one by one (`release_list`); hands on the same sums as `release_sums` does.

Which persons of one release are those of another nobody says, as a rule. At most all are different,
but for those whom several lists name by their key. At least they are as many as the largest release
has; as there are different keys; or as the largest share of each citizenship has together, since
who holds one citizenship is nobody who holds another one.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import attrgetter

import sqlalchemy as sa

from ledger.bounds.claims import Bounds
from ledger.projections.release_list import (
    FirstKeys,
    Release,
    Rule,
    Undone,
    disputes_of,
    listed,
    nobody_merged,
)
from ledger.projections.release_sums import NOTHING, RolledUp, Sum
from ledger.projections.release_totals import Scope

_Counted = tuple[Release, Bounds, Iterable[str]]
"""A release, its bounds under what is counted, and the keys of those who surely are among them."""


def counted(
    connection: sa.Connection,
    by: str,
    scope: Scope,
    rule: Rule,
    first_keys: FirstKeys = nobody_merged,
) -> RolledUp:
    """Return the total of the releases in scope, their sums by citizenship, state or day, and the
    disputes among them, counted by the rule. Costs some 10 microseconds a release."""
    found = listed(connection, scope, rule, first_keys)
    disputes = {
        *disputes_of(connection, scope),
        *(odd for one in found if one.undone is not None for odd in one.undone.disputes),
    }
    return RolledUp(
        total(found, rule),
        added(found, by, scope, rule),
        [f"{stream} {positions}" for stream, positions in disputes],
        _freed_again(found),
    )


def added(releases: Sequence[Release], by: str, scope: Scope, rule: Rule) -> list[Sum]:
    """Return the sums of releases by citizenship, state or day; by day, by how much the running
    bounds change."""
    return _BY[by](releases, scope, rule)


def _freed_again(releases: Iterable[Release]) -> dict[str, list[str]]:
    """Return the persons with a key whom several releases surely freed, each with those."""
    found: dict[str, list[str]] = {}
    for one in releases:
        for person in one.persons:
            found.setdefault(person, []).append(one.group)
    return {person: sorted(groups) for person, groups in found.items() if len(groups) > 1}


def _by_citizenship(releases: Sequence[Release], _: Scope, rule: Rule) -> list[Sum]:
    under: dict[str, list[_Counted]] = {}
    for one in releases:
        for code, bounds in one.cells.items():
            if rule.one:
                bounds = Bounds(one.alone.get(code, 0), bounds.high)
            persons = [person for person, codes in one.persons.items() if code in codes]
            under.setdefault(code, []).append((one, bounds, persons))
    elsewhere = of_several(releases) if rule.one else ()
    return [_sum(many, rule, elsewhere)._replace(key=code) for code, many in under.items()]


def _by_state(releases: Sequence[Release], _: Scope, rule: Rule) -> list[Sum]:
    by: dict[str, list[Release]] = {}
    for one in releases:
        by.setdefault(one.state, []).append(one)
    return [total(many, rule)._replace(key=state) for state, many in by.items()]


def total(releases: Sequence[Release], rule: Rule) -> Sum:
    """Return what the releases add up to, whosever and whenever they are."""
    whole = _sum([(one, one.total, one.persons) for one in releases], rule)
    if not rule.persons:
        return whole
    apart = _Apart(releases)
    surely = [one for one in releases if one.within]
    for one in surely:
        apart.add(one)
    # A report that contradicts itself may list more than its total; persons are no more than that.
    most = sum(one.total.low for one in surely)
    return whole._replace(low=max(whole.low, min(apart.low, most)))


class _Apart:
    """The largest share of each citizenship so far, of persons who hold no other one."""

    def __init__(self, releases: Iterable[Release]) -> None:
        # Who is listed with one here and with another there is in two of the shares.
        self._twice = sum(len(codes) - 1 for codes in of_several(releases).values())
        self._shares: dict[str, int] = {}

    def add(self, one: Release) -> None:
        for code, alone in one.alone.items():
            self._shares[code] = max(alone, self._shares.get(code, 0))

    @property
    def low(self) -> int:
        return sum(self._shares.values()) - self._twice


def of_several(releases: Iterable[Release]) -> dict[str, frozenset[str]]:
    """Return the persons with a key who hold several citizenships by all lists together."""
    held: dict[str, frozenset[str]] = {}
    for one in releases:
        for person, codes in one.persons.items():
            held[person] = codes | held.get(person, codes)
    return {person: codes for person, codes in held.items() if len(codes) > 1}


def _sum(
    many: Sequence[_Counted], rule: Rule, elsewhere: Collection[str] = ()
) -> Sum:
    """Return what the releases add up to; `elsewhere`: who may count under something else."""
    if not many:
        return NOTHING
    lows = [bounds.low for one, bounds, _ in many if one.within]
    highs = [bounds.high for _, bounds, _ in many]
    low, high = sum(lows), None if None in highs else sum(filter(None, highs))
    if rule.persons:
        sure = {person for one, _, persons in many if one.within for person in persons}
        low = min(low, max([0, len(sure.difference(elsewhere)), *lows]))
        named = Counter(person for _, _, persons in many for person in persons)
        high = None if high is None else high - (named.total() - len(named))
    others = [one.other_high for one, _, _ in many]
    return Sum(
        None, None, low, high, any(one.disputed for one, _, _ in many), len(many),
        sum(filter(None, others)), others.count(None),
    )


def _by_day(releases: Sequence[Release], scope: Scope, rule: Rule) -> list[Sum]:
    """Return by how much the running bounds change, and on which days."""
    return _of_persons(releases) if rule.persons else _one_by_one(releases, scope)


def _one_by_one(releases: Iterable[Release], scope: Scope) -> list[Sum]:
    steps = []
    for one in releases:
        whole = one.gross or one.total
        low = whole.low if one.within else 0
        steps.append(_step(one, one.first, one.last, low, whole.high))
        if one.undone is not None:
            steps += _taken_back(one, one.undone, scope.until)
    return steps


def _taken_back(one: Release, undone: Undone, until: str | None) -> Iterable[Sum]:
    """Yield what the running bounds lose: the low when it may be undone, the high when it is."""
    assert one.gross is not None
    if one.last is not None and one.within:
        day = max(one.last, undone.first or "")
        yield Sum(None, day, one.total.low - one.gross.low, 0, 0, 0, 0, 0)
    if undone.last is None or (until is not None and undone.last > until):
        return
    if one.gross.high is not None and one.total.high is not None:
        day = max(one.first or "", undone.last)
        yield Sum(day, None, 0, one.total.high - one.gross.high, 0, 0, 0, 0)


def _of_persons(releases: Sequence[Release]) -> list[Sum]:
    steps = []
    low, most, sure = 0, 0, set[str]()
    apart = _Apart(releases)
    ended = [one for one in releases if one.last is not None and one.within]
    for one in sorted(ended, key=attrgetter("last")):
        sure.update(one.persons)
        apart.add(one)
        most += one.total.low
        more = max(low, min(most, max(one.total.low, len(sure), apart.low))) - low
        low += more
        steps.append(Sum(None, one.last, more, 0, 0, 0, 0, 0))
    named = set[str]()
    for one in sorted(releases, key=lambda one: one.first or ""):
        high = one.total.high
        again = len(named & one.persons.keys())
        named.update(one.persons)
        steps.append(_step(one, one.first, None, 0, None if high is None else high - again))
    return steps


def _step(one: Release, first: str | None, last: str | None, low: int, high: int | None) -> Sum:
    return Sum(first, last, low, high, one.disputed, 1, 0, 0)


_BY: Mapping[str, Callable[[Sequence[Release], Scope, Rule], list[Sum]]] = {
    "citizenship": _by_citizenship, "state": _by_state, "day": _by_day
}
