"""The releases that are asked about, one by one, for rules of counting that no sum in SQL follows.

Takes a Scope and a Rule; hands on Releases: the bounds of each, less what was undone where the rule
is net, and the persons that are surely among them. Costs some microseconds a release.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from ledger.bounds.claims import Bounds
from ledger.bounds.days import common
from ledger.bounds.sums import bounds_of, end_of, hull
from ledger.projections.projection import standing_at
from ledger.projections.release_totals import GROUP, ReleaseTotals, Scope, totals_of
from ledger.projections.releases import release_citizenships, release_persons, releases

Cells = dict[str, Bounds]
"""By citizenship."""
UNDONE = "reversed"
FirstKeys = Callable[[Collection[str]], Mapping[str, str]]


class Rule(NamedTuple):
    """How releases are counted; the usual rule is that of `release_sums`."""

    persons: bool = False
    """Whoever is freed twice counts once."""
    net: bool = False
    """What was undone does not count."""
    one: bool = False
    """Who holds several citizenships counts under one of them only, and nobody says which."""


USUAL = Rule()


@dataclass(frozen=True, slots=True)
class Undone:
    """What of a release was undone, by all reports."""

    first: str | None
    """The earliest day; None: not stated."""
    last: str | None
    total: Bounds
    other_high: int | None
    cells: Cells
    disputes: tuple[tuple[str, str], ...] = ()
    """Streams, each with the positions that disagree, joined by blanks."""


@dataclass(frozen=True, slots=True)
class Release:
    """One release: a development, or several that are merged."""

    group: str
    state: str
    first: str | None
    """The earliest day; None: not stated."""
    last: str | None
    total: Bounds
    other_high: int | None
    """Under any one citizenship that is not listed; None: no upper bound."""
    disputed: bool
    within: bool
    """Whether it surely lies in the days asked for; else it counts for the high bound alone."""
    cells: Cells
    alone: Mapping[str, int]
    """By citizenship: at least how many hold no other."""
    persons: Mapping[str, frozenset[str]]
    """What each person holds who has a key and was surely freed."""
    undone: Undone | None = None
    """What was undone of it by the last day asked for, if the rule is net."""
    gross: Bounds | None = None
    """The total before that was taken off."""


def nobody_merged(_: Collection[str]) -> Mapping[str, str]:
    """Return no other key for anybody."""
    return {}


def listed(
    connection: sa.Connection, scope: Scope, rule: Rule, first_keys: FirstKeys = nobody_merged
) -> list[Release]:
    """Return the releases in scope, as the rule has each of them.

    `first_keys` gives the first of a person's keys for each key that is merged, of those asked for.
    """
    found = listed_gross(connection, scope, rule, first_keys)
    return [one if undone is None else less(one, undone, scope.until) for one, undone in found]


def listed_gross(
    connection: sa.Connection, scope: Scope, rule: Rule, first_keys: FirstKeys = nobody_merged
) -> list[tuple[Release, Undone | None]]:
    """Return the same before anything is taken off, each with what was undone of it, if the rule
    is net."""
    totals, given = totals_of(scope)
    cells: dict[str, Cells] = {}
    alone: dict[str, dict[str, int]] = {}
    for group, code, low, high, only in connection.execute(_cells(totals), given):
        cells.setdefault(group, {})[code] = Bounds(low, high)
        alone.setdefault(group, {})[code] = only
    persons, twice = (
        _persons(connection, totals, given, first_keys) if rule.persons else ({}, {})
    )
    undone = _undone(connection, totals, given) if rule.net else {}
    found = []
    for group, state, first, last, low, high, other, disputed, within, several in (
        connection.execute(_groups(totals), given)
    ):
        named = persons.get(group, {})
        # Merged ones that contradict each other may each be wrong about who was freed.
        sure = not (several and disputed) and (high is None or len(named) <= high)
        one = Release(
            group, state, first, last, Bounds(low, high), other, bool(disputed), bool(within),
            cells.get(group, {}), alone.get(group, {}), named if sure else {},
        )
        if group in twice:
            one = _with_fewer(one, twice[group])
        found.append((one, undone.get(group)))
    return found


def between(release: Release, since: str, until: str) -> Release | None:
    """Return the release as it counts from the one day to the other; None: it lies outside."""
    first, last = release.first, release.last
    if (last is not None and last < since) or (first is not None and first > until):
        return None
    if first is not None and last is not None and first >= since and last <= until:
        return release
    return replace(release, within=False)


def less(release: Release, undone: Undone, until: str | None) -> Release:
    """Return the release without what was undone by a day; None: without all of it.

    What surely was undone is off the high bounds, what may have been is off the low ones. Who was
    among them is not said, so nobody is surely free any more.
    """
    if undone.last is not None and release.first is not None and undone.last < release.first:
        return release  # it undid something before
    if until is not None and undone.first is not None and undone.first > until:
        return release
    surely = until is None or (undone.last is not None and undone.last <= until)

    def left(before: Bounds, off: Bounds, most: int | None = None) -> Bounds:
        low = 0 if off.high is None else max(0, before.low - off.high)
        high = before.high
        if high is not None and surely:
            high = max(0, high - off.low)
        return Bounds(low, most if high is None or (most is not None and most < high) else high)

    total = left(release.total, undone.total)
    other, most = Bounds(0, undone.other_high), total.high
    cells = {
        code: left(
            release.cells.get(code, Bounds(0, release.other_high)), undone.cells.get(code, other),
            most,
        )
        for code in {**release.cells, **undone.cells}
    }
    return replace(
        release,
        total=total,
        other_high=left(Bounds(0, release.other_high), Bounds(0, None), most).high,
        disputed=release.disputed or bool(undone.disputes),
        cells=cells,
        alone={
            code: left(Bounds(low, None), undone.cells.get(code, other)).low
            for code, low in release.alone.items()
        },
        persons={},
        undone=undone,
        gross=release.total,
    )


def disputes_of(connection: sa.Connection, scope: Scope) -> list[tuple[str, str]]:
    """Return each disputed development in scope, with the positions that disagree."""
    totals, given = totals_of(scope)
    found = connection.execute(sa.union_all(*map(sa.select, totals.disputes)), given)
    return [(stream, positions) for stream, positions in found]


def members_of(
    connection: sa.Connection, scope: Scope, releases: Iterable[Release]
) -> dict[str, dict[str, str]]:
    """Return the developments behind each release, by its group: each with the positions that
    disagree on what was done or undone, joined by blanks."""
    totals, given = totals_of(scope)
    found: dict[str, dict[str, str]] = {}
    for group, stream, positions in connection.execute(sa.select(totals.members), given):
        found.setdefault(group, {})[stream] = positions
    for one in releases:
        for stream, positions in one.undone.disputes if one.undone is not None else ():
            streams = found[one.group]
            streams[stream] = f"{streams.get(stream, '')} {positions}".strip()
    return found


def _persons(
    connection: sa.Connection,
    totals: ReleaseTotals,
    given: Mapping[str, Any],
    first_keys: FirstKeys,
) -> tuple[dict[str, dict[str, frozenset[str]]], dict[str, int]]:
    """Return what the persons of each release hold, and how many of its keys are others' again."""
    rows = connection.execute(_listed_persons(totals), given).all()
    first = first_keys({person for _, person, _ in rows})
    found: dict[str, dict[str, frozenset[str]]] = {}
    keys: dict[str, set[str]] = {}
    for group, person, citizenships in rows:
        held, one = frozenset(citizenships.split()), first.get(person, person)
        of_group = found.setdefault(group, {})
        of_group[one] = held | of_group.get(one, held)
        keys.setdefault(group, set()).add(person)
    twice = {group: len(keys[group]) - len(persons) for group, persons in found.items()}
    return found, {group: many for group, many in twice.items() if many}


def _with_fewer(one: Release, twice: int) -> Release:
    """Return the release with lower lows: so many of its persons were counted by two keys."""
    def lower(bounds: Bounds) -> Bounds:
        return Bounds(max(0, bounds.low - twice), bounds.high)

    return replace(
        one,
        total=lower(one.total),
        cells={code: lower(bounds) for code, bounds in one.cells.items()},
        alone={code: max(0, low - twice) for code, low in one.alone.items()},
    )


def _undone(
    connection: sa.Connection, totals: ReleaseTotals, given: Mapping[str, Any]
) -> dict[str, Undone]:
    cells: dict[str, Cells] = {}
    for stream, code, low, high in connection.execute(_undone_cells(totals), given):
        cells.setdefault(stream, {})[code] = Bounds(low, high)
    found: dict[str, list[Undone]] = {}
    for group, stream, first, last, low, high, other, disputed, positions in connection.execute(
        _undone_rows(totals), given
    ):
        odd = ((stream, positions),) if disputed else ()
        one = Undone(first, last, Bounds(low, high), other, cells.get(stream, {}), odd)
        found.setdefault(group, []).append(one)
    return {group: _together(many) for group, many in found.items()}


def _together(many: Sequence[Undone]) -> Undone:
    """Return what merged developments say was undone: what all allow, else what any does."""
    if len(many) == 1:
        return many[0]
    codes = {code for one in many for code in one.cells}
    said = [
        [one.total for one in many],
        [Bounds(0, one.other_high) for one in many],
        *([one.cells.get(code, Bounds(0, one.other_high)) for one in many] for code in codes),
    ]
    met = [_narrowest(bounds) for bounds in said]
    if any(high is not None and high < low for low, high in met):
        met = [hull(bounds) for bounds in said]
    first, last = common([(one.first, one.last) for one in many])
    total, other, *cells = met
    odd = tuple(sorted(dispute for one in many for dispute in one.disputes))
    return Undone(first, last, total, other.high, dict(zip(codes, cells, strict=True)), odd)


def _narrowest(many: Sequence[Bounds]) -> Bounds:
    return bounds_of(max(low for low, _ in many), min(map(end_of, many)))


@lru_cache(maxsize=64)
def _groups(totals: ReleaseTotals) -> sa.CompoundSelect[Any]:
    columns = ("grp", *GROUP, "disputed", "within")
    return sa.union_all(*(
        sa.select(*(half.c[name] for name in columns), sa.literal_column(several))
        for half, several in zip(totals.halves, ("0", "1"), strict=True)
    ))


@lru_cache(maxsize=64)
def _cells(totals: ReleaseTotals) -> sa.CompoundSelect[Any]:
    columns = ("grp", "citizenship", "low", "high", "alone")
    return sa.union_all(*(
        sa.select(*(half.c[name] for name in columns)) for half in totals.halves_of_cells
    ))


@lru_cache(maxsize=64)
def _listed_persons(totals: ReleaseTotals) -> sa.Select[Any]:
    member, c = totals.members.c, release_persons.c
    stands = standing_at(release_persons, totals.scope.as_of) & (c.stage == totals.scope.stage)
    return sa.select(member.grp, c.person, c.citizenships).join_from(
        totals.members, release_persons, (c.stream == member.stream) & stands
    )


@lru_cache(maxsize=64)
def _undone_rows(totals: ReleaseTotals) -> sa.Select[Any]:
    member, c = totals.members.c, releases.c
    columns = (c.stream, c.valid_from, c.valid_until, c.low, c.high, c.other_high, c.disputed,
               c.positions)
    return sa.select(member.grp, *columns).join_from(
        totals.members, releases, _is_undone(totals, releases, member.stream)
    )


@lru_cache(maxsize=64)
def _undone_cells(totals: ReleaseTotals) -> sa.Select[Any]:
    member, c = totals.members.c, release_citizenships.c
    return sa.select(c.stream, c.citizenship, c.low, c.high).join_from(
        totals.members, release_citizenships,
        _is_undone(totals, release_citizenships, member.stream),
    )


def _is_undone(
    totals: ReleaseTotals, table: sa.Table, stream: sa.ColumnElement[str]
) -> sa.ColumnElement[bool]:
    of_member = (table.c.stream == stream) & (table.c.stage == UNDONE)
    return of_member & standing_at(table, totals.scope.as_of)
