"""What releases add up to by a rule that is not the usual one.

Takes the releases one by one (`release_list`); hands on the same sums as `release_sums` does. How
many persons several releases have in common: `person_counts`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import sqlalchemy as sa

from ledger.bounds.claims import Bounds
from ledger.projections.person_counts import Fewest, Most
from ledger.projections.release_days import by_day
from ledger.projections.release_list import (
    FirstKeys,
    Release,
    Rule,
    disputes_of,
    held_by,
    less,
    listed,
    nobody_merged,
    of_one_only,
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
    gross = listed(connection, scope, rule, first_keys)
    net = [less(one, scope.until) for one in gross]
    disputes = {
        *disputes_of(connection, scope),
        *(odd for one in net if one.undone is not None for odd in one.undone.disputes),
    }
    return RolledUp(
        total(net, rule),
        added(gross, by, scope, rule),
        [f"{stream} {positions}" for stream, positions in disputes],
        _freed_again(net),
    )


def added(gross: Sequence[Release], by: str, scope: Scope, rule: Rule) -> list[Sum]:
    """Return the sums of releases by citizenship, state or day, without what was undone by the last
    day; by day, by how much the running bounds change."""
    if by == "day":
        return by_day(gross, scope, rule)
    return _BY[by]([less(one, scope.until) for one in gross], rule)


def total(releases: Sequence[Release], rule: Rule) -> Sum:
    """Return what the releases add up to, whosever and whenever they are."""
    whole = _sum([(one, one.total, ()) for one in releases], rule)
    if not rule.persons:
        return whole
    fewest, most = Fewest(releases), Most()
    for one in releases:
        most.add(one)
        if one.within:
            fewest.add(one)
    low, high = fewest.number, most.number
    return whole._replace(low=low if high is None else min(low, high), high=high)


def _freed_again(releases: Iterable[Release]) -> dict[str, list[str]]:
    """Return the persons with a key whom several releases surely freed, each with those."""
    found: dict[str, list[str]] = {}
    for one in releases:
        for person in one.persons:
            found.setdefault(person, []).append(one.group)
    return {person: sorted(groups) for person, groups in found.items() if len(groups) > 1}


def _by_citizenship(releases: Sequence[Release], rule: Rule) -> list[Sum]:
    held = held_by(releases)
    under: dict[str, list[_Counted]] = {}
    for one in releases:
        for code, bounds in one.cells.items():
            persons = [person for person in one.persons if code in one.keys[person]]
            if rule.one:
                bounds = Bounds(of_one_only(one, code, held), bounds.high)
            under.setdefault(code, []).append((one, bounds, persons))
    several = [person for person, codes in held.items() if len(codes) > 1]
    elsewhere = several if rule.one else ()
    return [_sum(many, rule, elsewhere)._replace(key=code) for code, many in under.items()]


def _by_state(releases: Sequence[Release], rule: Rule) -> list[Sum]:
    by: dict[str, list[Release]] = {}
    for one in releases:
        by.setdefault(one.state, []).append(one)
    return [total(many, rule)._replace(key=state) for state, many in by.items()]


_BY: Mapping[str, Callable[[Sequence[Release], Rule], list[Sum]]] = {
    "citizenship": _by_citizenship, "state": _by_state
}


def _sum(many: Sequence[_Counted], rule: Rule, elsewhere: Collection[str] = ()) -> Sum:
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
        if high is not None:
            high -= named.total() - len(named)
            low = min(low, high)
    others = [one.other_high for one, _, _ in many]
    return Sum(
        None, None, low, high, any(one.disputed for one, _, _ in many), len(many),
        sum(filter(None, others)), others.count(None),
    )
