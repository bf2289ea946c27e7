"""The releases that are asked about, one by one, for rules of counting that no sum in SQL follows.

Takes a Scope and a Rule; hands on Releases: the bounds of each, what was undone of it where the
rule is net (`less` takes that off), and the persons that are surely among them. Costs some
microseconds a release.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from ledger.bounds.claims import Bounds
from ledger.bounds.days import common, crosses, meet
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

    @property
    def asks_who(self) -> bool:
        """Whether it matters who of several releases are the same."""
        return self.persons or self.one


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
    positions: Mapping[str, str] = field(default_factory=dict)
    """By stream: the positions that disagree, joined by blanks."""
    clash: bool = False
    """Whether merged developments exclude each other in this."""

    @property
    def disputes(self) -> list[tuple[str, str]]:
        """Streams that are disputed, each with the positions that disagree."""
        return [(one, said) for one, said in self.positions.items() if said or self.clash]


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
    keys: Mapping[str, frozenset[str]]
    """What each person holds by its lists who has a key."""
    persons: Collection[str]
    """Those of them who surely were freed."""
    undone: Undone | None = None
    """What was undone of it, if the rule is net; not taken off yet, unless `less` did."""


def nobody_merged(_: Collection[str]) -> Mapping[str, str]:
    """Return no other key for anybody."""
    return {}


def listed(
    connection: sa.Connection, scope: Scope, rule: Rule, first_keys: FirstKeys = nobody_merged
) -> list[Release]:
    """Return the releases in scope, gross; where the rule is net, with what was undone of each.

    `first_keys` gives the first of a person's keys for each key that is merged, of those asked for.
    """
    totals, given = totals_of(scope)
    cells: dict[str, Cells] = {}
    alone: dict[str, dict[str, int]] = {}
    for group, code, low, high, only in connection.execute(_cells(totals), given):
        cells.setdefault(group, {})[code] = Bounds(low, high)
        alone.setdefault(group, {})[code] = only
    persons, twice = (
        _persons(connection, totals, given, first_keys) if rule.asks_who else ({}, {})
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
            cells.get(group, {}), alone.get(group, {}), named, named.keys() if sure else (),
            undone.get(group),
        )
        found.append(_with_fewer(one, twice[group]) if group in twice else one)
    return found


def held_by(releases: Iterable[Release]) -> dict[str, frozenset[str]]:
    """Return what each person with a key holds by all lists together; nothing: nobody says."""
    held: dict[str, frozenset[str]] = {}
    for one in releases:
        for person, codes in one.keys.items():
            held[person] = codes | held.get(person, codes)
    return held


def of_one_only(release: Release, code: str, held: Mapping[str, frozenset[str]]) -> int:
    """Return at least how many of a citizenship hold no other, by the lists of other releases,
    too."""
    elsewhere = [
        person for person, codes in release.keys.items()
        if len(codes) < 2 and len(held[person]) > 1 and code in held[person]
    ]
    return max(0, release.alone.get(code, 0) - len(elsewhere))


def between(release: Release, since: str, until: str) -> Release | None:
    """Return the release as it counts from the one day to the other; None: it lies outside."""
    first, last = release.first, release.last
    if (last is not None and last < since) or (first is not None and first > until):
        return None
    if first is not None and last is not None and first >= since and last <= until:
        return release
    return replace(release, within=False)


def less(release: Release, until: str | None) -> Release:
    """Return the release without what was undone by a day; None: without all of it.

    What surely was undone is off the high bounds, what may have been is off the low ones. Who was
    among them is not said, so nobody is surely free any more.
    """
    undone = release.undone
    if undone is None:
        return release
    before = undone.last is not None and release.first is not None and undone.last < release.first
    later = until is not None and undone.first is not None and undone.first > until
    if before or later:
        return replace(release, undone=None)
    surely = until is None or (undone.last is not None and undone.last <= until)

    def high(before: int | None, off: int, most: int | None = None) -> int | None:
        left = max(0, before - off) if before is not None and surely else before
        return min((one for one in (left, most) if one is not None), default=None)

    whole, off = release.total, undone.total
    total = Bounds(_left(whole.low, off), high(whole.high, off.low))
    cells, alone = {}, {}
    for code in {**release.cells, **undone.cells}:
        stated = release.cells.get(code, Bounds(0, release.other_high))
        off = undone.cells.get(code, Bounds(0, undone.other_high))
        # Who holds another one, too, may be taken back as a citizen of that one alone.
        alone[code] = _left(release.alone.get(code, 0), off)
        low = max(alone[code], _left(stated.low, undone.total))
        most = high(stated.high, off.low, total.high)
        # Reports of what was done and undone that contradict each other leave no more than that.
        cells[code] = Bounds(low if most is None else min(low, most), most)
    return replace(
        release,
        total=total,
        other_high=high(release.other_high, 0, total.high),
        disputed=release.disputed or bool(undone.disputes),
        cells=cells,
        alone=alone,
        persons=(),
    )


def _left(low: int, off: Bounds) -> int:
    """Return how many are left at least."""
    return 0 if off.high is None else max(0, low - off.high)


def disputes_of(connection: sa.Connection, scope: Scope) -> list[tuple[str, str]]:
    """Return each disputed development in scope, with the positions that disagree."""
    totals, given = totals_of(scope)
    found = connection.execute(sa.union_all(*map(sa.select, totals.disputes)), given)
    return [(stream, positions) for stream, positions in found]


def members_of(
    connection: sa.Connection, scope: Scope, releases: Iterable[Release]
) -> dict[str, dict[str, str]]:
    """Return the developments behind each release, by its group: each with the positions that
    disagree on what was done, or on what was undone of it, joined by blanks."""
    totals, given = totals_of(scope)
    found: dict[str, dict[str, str]] = {}
    for group, stream, positions in connection.execute(sa.select(totals.members), given):
        found.setdefault(group, {})[stream] = positions
    for one in releases:
        for stream, positions in one.undone.positions.items() if one.undone is not None else ():
            streams = found[one.group]
            streams[stream] = f"{streams.get(stream, '')} {positions}".strip()
    return found


def _persons(
    connection: sa.Connection,
    totals: ReleaseTotals,
    given: Mapping[str, Any],
    first_keys: FirstKeys,
) -> tuple[dict[str, dict[str, frozenset[str]]], dict[str, int]]:
    """Return what the persons of each release hold by its lists, and how many of the keys on the
    lists of one development are others' again, at most."""
    rows = connection.execute(_listed_persons(totals), given).all()
    first = first_keys({person for _, _, person, _ in rows})
    found: dict[str, dict[str, frozenset[str]]] = {}
    keys: dict[tuple[str, str], list[str]] = {}
    for group, stream, person, citizenships in rows:
        held, one = frozenset(citizenships.split()), first.get(person, person)
        of_group = found.setdefault(group, {})
        of_group[one] = held | of_group.get(one, held)
        keys.setdefault((group, stream), []).append(one)
    twice: dict[str, int] = {}
    for (group, _), persons in keys.items():
        if again := len(persons) - len({*persons}):
            twice[group] = max(again, twice.get(group, 0))
    return found, twice


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
    for group, stream, first, last, low, high, other, positions in connection.execute(
        _undone_rows(totals), given
    ):
        one = Undone(
            first, last, Bounds(low, high), other, cells.get(stream, {}), {stream: positions}
        )
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
    clash = any(high is not None and high < low for low, high in met)
    if clash:
        met = [hull(bounds) for bounds in said]
    days = [(one.first, one.last) for one in many]
    total, other, *cells = met
    positions = {stream: at for one in many for stream, at in one.positions.items()}
    return Undone(
        *common(days), total, other.high, dict(zip(codes, cells, strict=True)), positions,
        clash or crosses(meet(days)),
    )


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
    return sa.select(member.grp, c.stream, c.person, c.citizenships).join_from(
        totals.members, release_persons, (c.stream == member.stream) & stands
    )


@lru_cache(maxsize=64)
def _undone_rows(totals: ReleaseTotals) -> sa.Select[Any]:
    member, c = totals.names.c, releases.c
    columns = (c.stream, c.valid_from, c.valid_until, c.low, c.high, c.other_high, c.positions)
    return sa.select(member.grp, *columns).join_from(
        totals.names, releases, _is_undone(totals, releases, member.stream)
    )


@lru_cache(maxsize=64)
def _undone_cells(totals: ReleaseTotals) -> sa.Select[Any]:
    member, c = totals.names.c, release_citizenships.c
    return sa.select(c.stream, c.citizenship, c.low, c.high).join_from(
        totals.names, release_citizenships,
        _is_undone(totals, release_citizenships, member.stream),
    )


def _is_undone(
    totals: ReleaseTotals, table: sa.Table, stream: sa.ColumnElement[str]
) -> sa.ColumnElement[bool]:
    of_member = (table.c.stream == stream) & (table.c.stage == UNDONE)
    return of_member & standing_at(table, totals.scope.as_of)
