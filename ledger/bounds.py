"""How many persons, at least and at most: the bounds of one release or detention.

Takes what each live report says about how many (`Claim`) and hands on `Bounded`: the total, the
persons under each citizenship, and the claims that contradict each other. Opens nothing.

A *world* is a group of persons, each of whom holds a set of citizenships; a claim rules some worlds
out. The bounds are how far the counts reach over the worlds that all the claims allow. Where there
is none, the development is disputed.

Assumption, to be printed with every answer: a person holds one citizenship, unless a report lists
that person with several. So the persons with several citizenships are exactly the listed ones.

Persons are told apart by their key. Without a key, a person is somebody else than the others on
the same list, and may be anybody on another one. So a list asks for as many persons, as many
holders of each citizenship and as many persons of each set of several as it shows; all the keyed
persons, each with the union of what is said of them, are one more list.

Let `y` count the holders of one citizenship only, `rest` those of none in view, `n` the persons of
several, `d` those of them who hold the citizenship in question. Each leaf occurs once in

    holders = y + d      foreign = rest + n + every y but the state's      total = foreign + the y

so intervals that are passed up and down these sums once are exact. To list a person with several
citizenships loosens the assumption: only such a report can agree with the others and still widen.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from operator import gt
from typing import NamedTuple

EXACT_UP_TO = 10
"""Contested claims whose subsets are all looked at; with more, the bounds are wider than exact."""

_ENDLESS = 1 << 100  # Stands for "no upper bound": far above every sum of recordable integers.
# The sums beside the citizenships; the rest are the holders of none that is in view.
_REST, _FOREIGN, _TOTAL = "=rest", "=foreign", "=total"


@dataclass(frozen=True, slots=True)
class Bounds:
    """At least `low` and at most `high` persons; `high` None where no upper bound is stated."""

    low: int
    high: int | None


UNSTATED = Bounds(0, None)


@dataclass(frozen=True, slots=True)
class Person:
    """A person on the list of a report; `key` None for a person without a name."""

    key: str | None
    citizenships: frozenset[str]
    """Empty where the report states none: then the person may hold any."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one live report says about how many."""

    position: int
    total: Bounds
    citizenships: Mapping[str, Bounds]
    """The breakdown; "among them citizens of" is `Bounds(1, None)`."""
    exhaustive: bool = False
    """Every person holds a citizenship of the breakdown; without a breakdown this says nothing."""
    foreign: Bounds = UNSTATED
    """Persons who hold a citizenship other than that of the state; without a state, nothing."""
    persons: tuple[Person, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounded:
    """How many persons, and which claims disagree."""

    total: Bounds
    citizenships: dict[str, Bounds]
    """Sorted: each that a claim lists or a listed person holds, and the state's own where a claim
    gives the number of foreigners, which says something about it."""
    other: Bounds
    """Persons under any one citizenship that is not in `citizenships`."""
    disputed: bool
    positions: tuple[int, ...]
    """The claims that disagree, ascending; empty where nothing is disputed."""


def bound(claims: Sequence[Claim], state: str | None) -> Bounded:
    """Return the bounds that the claims support together; without claims, no bounds at all.

    Where the claims cannot all hold, the bounds are the hull over the maximal sets of claims that
    can, and `positions` are the claims that are not in each of these sets: the members of the
    minimal contradictions. A claim that contradicts itself is a set of its own (`_as_stated`).

    Cost: linear in the claims where they agree; in a dispute, every subset of the contested claims
    up to `EXACT_UP_TO` of them, and beyond that quadratic, with bounds that are never narrower
    than the exact ones and positions that may be too many.
    """
    view = _view(claims, state)
    return _agree(claims, view) or _disputed(claims, view)


class _View(NamedTuple):
    """The citizenships in view, sorted, and the tree of sums over them, from below."""

    names: list[str]
    state: str | None
    tree: list[tuple[str, list[str]]]


def _view(claims: Iterable[Claim], state: str | None) -> _View:
    names: set[str] = set()
    split = False
    for claim in claims:
        names.update(claim.citizenships)
        for person in claim.persons:
            names |= person.citizenships
        split = split or claim.foreign != UNSTATED
    if state is None or not split:
        return _View(sorted(names), state, [(_TOTAL, [*names, _REST])])
    tree = [(_FOREIGN, [*(names - {state}), _REST]), (_TOTAL, [_FOREIGN, state])]
    return _View(sorted(names | {state}), state, tree)


class _Sums(NamedTuple):
    """The least and the most of each sum."""

    lows: dict[str, int]
    highs: dict[str, int]


def _agree(
    claims: Sequence[Claim], view: _View, loose: Counter[str] | None = None
) -> Bounded | None:
    """Return the bounds under which all the claims hold, or None where no world fits them all.

    With `loose`, any number of persons up to it may hold several citizenships, so that the bounds
    also cover each larger set of claims.
    """
    sums = _stated(claims, view)
    least = most = Counter[str]()
    sets = Counter[frozenset[str]]()
    if any(claim.persons for claim in claims):
        asked, sets = _people(claims)
        _raise_to(sums, asked)
        least = most = _several(sets)
    if loose is not None:
        least, most, sets = Counter(), loose, Counter()
    if most:
        _shift(sums, -1, most, least)
    if not _close(sums, claims, sets) or not _settle(sums, view):
        return None
    if most:
        _shift(sums, 1, least, most)
    return _bounded(sums, view)


def _stated(claims: Iterable[Claim], view: _View) -> _Sums:
    """Return what the claims say about each sum, in holders of each citizenship."""
    lows = dict.fromkeys(view.names, 0)
    lows[_REST] = lows[_FOREIGN] = lows[_TOTAL] = 0
    highs = dict.fromkeys(lows, _ENDLESS)
    for claim in claims:
        said = [*claim.citizenships.items(), (_TOTAL, claim.total)]
        if view.state is not None:
            said.append((_FOREIGN, claim.foreign))
        for name, stated in said:
            low, high = stated.low, stated.high
            if low > lows[name]:
                lows[name] = low
            if high is not None and high < highs[name]:
                highs[name] = high
    return _Sums(lows, highs)


def _people(claims: Iterable[Claim]) -> tuple[Counter[str], Counter[frozenset[str]]]:
    """Return what lists of persons ask for: holders and persons, and persons of several."""
    known = _known(claims)
    asked: Counter[str] = Counter()
    sets: Counter[frozenset[str]] = Counter()
    for roster in [list(known.values()), *(_roster(claim, known) for claim in claims)]:
        holders = Counter(name for held in roster for name in held)
        holders[_TOTAL] = len(roster)
        asked |= holders
        sets |= Counter(held for held in roster if len(held) > 1)
    return asked, sets


def _known(claims: Iterable[Claim]) -> dict[str, frozenset[str]]:
    """Return every keyed person with all the citizenships that any list gives: they add up."""
    known: dict[str, frozenset[str]] = {}
    for claim in claims:
        for person in claim.persons:
            if person.key is not None:
                known[person.key] = known.get(person.key, frozenset()) | person.citizenships
    return known


def _roster(claim: Claim, known: Mapping[str, frozenset[str]]) -> list[frozenset[str]]:
    keys = {person.key for person in claim.persons if person.key is not None}
    nameless = [person.citizenships for person in claim.persons if person.key is None]
    return [known[key] for key in keys] + nameless


def _several(sets: Counter[frozenset[str]]) -> Counter[str]:
    """Return how many of each sum hold several citizenships: all of them are foreign to a state."""
    counted: Counter[str] = Counter()
    for held, number in sets.items():
        counted.update(dict.fromkeys([*held, _FOREIGN, _TOTAL], number))
    return counted


def _raise_to(sums: _Sums, asked: Counter[str]) -> None:
    for name, number in asked.items():
        sums.lows[name] = max(sums.lows[name], number)


def _shift(sums: _Sums, sign: int, lows: Counter[str], highs: Counter[str]) -> None:
    """Leave out (-1) or put back (1) those who hold several citizenships."""
    for name, low in sums.lows.items():
        sums.lows[name] = max(0, low + sign * lows[name])
        if sums.highs[name] < _ENDLESS:
            sums.highs[name] += sign * highs[name]


def _close(sums: _Sums, claims: Iterable[Claim], sets: Iterable[frozenset[str]]) -> bool:
    """Leave nobody outside the exhaustive breakdowns; False where a person of several is."""
    for claim in claims:
        if claim.exhaustive and claim.citizenships:
            for name in sums.highs.keys() - claim.citizenships.keys() - {_FOREIGN, _TOTAL}:
                sums.highs[name] = min(sums.highs[name], 0)
            if any(held.isdisjoint(claim.citizenships) for held in sets):
                return False
    return True


def _settle(sums: _Sums, view: _View) -> bool:
    """Narrow every sum to what the others leave; False where they leave nothing."""
    lows, highs = sums
    if any(map(gt, lows.values(), highs.values())):
        return False
    for whole, parts in view.tree:
        lows[whole] = max(lows[whole], sum([lows[part] for part in parts]))
        highs[whole] = min(highs[whole], sum([highs[part] for part in parts]))
        if lows[whole] > highs[whole]:
            return False
    for whole, parts in reversed(view.tree):
        room = highs[whole] - sum([lows[part] for part in parts])
        need = lows[whole] - sum([highs[part] for part in parts])
        for part in parts:
            low, high = lows[part], highs[part]
            if low + room < high and highs[whole] < _ENDLESS:
                highs[part] = low + room
            if high + need > low:
                lows[part] = high + need
    return True


def _bounded(sums: _Sums, view: _View) -> Bounded:
    def bounds(name: str) -> Bounds:
        high = sums.highs[name]
        return Bounds(sums.lows[name], None if high >= _ENDLESS else high)

    citizenships = {name: bounds(name) for name in view.names}
    # However many must hold something else, any one other citizenship may be held by nobody.
    return Bounded(bounds(_TOTAL), citizenships, replace(bounds(_REST), low=0), False, ())


def _disputed(claims: Iterable[Claim], view: _View) -> Bounded:
    groups = _distinct(claims)
    distinct = [group[0] for group in groups]
    contested = _contested(distinct, view)
    read = _exactly if len(contested) <= EXACT_UP_TO else _roughly
    readings, disagree = read(distinct, contested, view)
    positions = sorted(claim.position for index in disagree for claim in groups[index])
    hull = {name: _around([one.citizenships[name] for one in readings]) for name in view.names}
    total, other = ([one.total for one in readings], [one.other for one in readings])
    return Bounded(_around(total), hull, _around(other), True, tuple(positions))


def _around(many: Sequence[Bounds]) -> Bounds:
    highs = [one.high for one in many if one.high is not None]
    return Bounds(min(one.low for one in many), max(highs) if len(highs) == len(many) else None)


def _distinct(claims: Iterable[Claim]) -> list[list[Claim]]:
    """Return the claims in groups that say the same, so that a repeated report has one voice."""
    groups: dict[object, list[Claim]] = {}
    for claim in claims:
        listed = frozenset(claim.citizenships.items())
        persons = frozenset(Counter(claim.persons).items())
        said = (claim.total, listed, claim.exhaustive, claim.foreign, persons)
        groups.setdefault(said, []).append(claim)
    return list(groups.values())


_Readings = tuple[list[Bounded], set[int]]


def _exactly(claims: list[Claim], contested: set[int], view: _View) -> _Readings:
    """Return a reading of every maximal set of claims that can hold, and who is not in all."""
    calm = set(range(len(claims))) - contested
    # To list a person with several citizenships can settle what two other claims contradict, so
    # only without persons is a set out of the question because it holds such two.
    few = [] if any(claim.persons for claim in claims) else [1, 2]
    pairs = (set(chosen) for size in few for chosen in combinations(contested, size))
    apart = [chosen for chosen in pairs if _agree([claims[one] for one in chosen], view) is None]
    maximal: list[set[int]] = []
    readings: list[Bounded] = []
    for size in range(len(contested), -1 if calm else 0, -1):
        for chosen in map(set, combinations(contested, size)):
            if any(map(chosen.issubset, maximal)) or any(map(chosen.issuperset, apart)):
                continue
            reading = _agree([claims[one] for one in chosen | calm], view)
            if reading is not None:
                maximal.append(chosen)
                readings.append(reading)
    hopeless = contested.difference(*maximal)
    readings += [_as_stated(claims[index], view) for index in hopeless]
    agreed = maximal[0].intersection(*maximal) if maximal else set()
    return readings, contested - agreed


def _as_stated(claim: Claim, view: _View) -> Bounded:
    """Return what a claim says that contradicts itself.

    Each number is as stated, stretched to the nearest one that the rest of the claim allows: a
    total of 14 beside an exhaustive breakdown that adds up to 13 is read as 13 to 14.
    """
    without = _agree([replace(claim, total=UNSTATED)], view)
    total = _stretched(claim.total, without.total if without else None)
    closed = claim.exhaustive and claim.citizenships
    other = Bounds(0, 0 if closed else total.high)
    asked, _ = _people([claim])
    citizenships = {}
    for name in view.names:
        stated = claim.citizenships.get(name)
        if stated is None:
            high = None if other.high is None else max(asked[name], other.high)
            citizenships[name] = Bounds(asked[name], high)
            continue
        freed = replace(claim, citizenships={**claim.citizenships, name: UNSTATED})
        without = _agree([freed], view)
        citizenships[name] = _stretched(stated, without.citizenships[name] if without else None)
    return Bounded(total, citizenships, other, True, (claim.position,))


def _stretched(stated: Bounds, allowed: Bounds | None) -> Bounds:
    low, high = stated.low, stated.high
    if high is not None and high < low:
        low, high = high, low
    if allowed is not None and high is not None and allowed.low > high:
        high = allowed.low
    if allowed is not None and allowed.high is not None and allowed.high < low:
        low = allowed.high
    return Bounds(low, high)


def _roughly(claims: list[Claim], contested: set[int], view: _View) -> _Readings:
    """Return one reading for each contested claim, beside all the claims that are not.

    Every maximal set holds all the uncontested claims, and a contested one if any can stand
    beside them; so the hull over these readings is never narrower than the exact hull.
    """
    calm = [claim for index, claim in enumerate(claims) if index not in contested]
    most = _several_at_most(claims)
    readings = []
    for claim in (claims[index] for index in sorted(contested)):
        readings.append(_agree([*calm, claim], view, most))
        if _agree([claim], view) is None:
            readings.append(_as_stated(claim, view))
    if calm and not any(_agree([*calm, claims[index]], view) for index in contested):
        readings.append(_agree(calm, view, most))
    return [reading for reading in readings if reading is not None], contested


def _several_at_most(claims: Sequence[Claim]) -> Counter[str]:
    """Return how many can hold several citizenships, for each sum, under any set of claims."""
    sets: Counter[frozenset[str]] = Counter()
    for claim in claims:
        sets |= Counter(one.citizenships for one in claim.persons if one.key is None)
    sets.update(_known(claims).values())
    return _several(Counter({held: sets[held] for held in sets if len(held) > 1}))


def _contested(claims: Sequence[Claim], view: _View) -> set[int]:
    """Return the claims that may take part in a contradiction, by the strictest reading.

    On a tree of sums, a contradiction is an end of one sum against ends of sums below it, so it is
    enough to hold each end that a claim states against the strictest ends that any claim states.
    """
    most, (asked, _) = _several_at_most(claims), _people(claims)
    every = _strictly(claims, asked, most, view)
    found = set()
    for index, claim in enumerate(claims):
        own = _strictly([claim], asked if claim.persons else Counter(), most, view)
        # A person with several citizenships changes the sums of all the other claims.
        if (most and (claim.persons or claim.exhaustive)) or _clashes(own, every, view):
            found.add(index)
    return found


def _strictly(
    claims: list[Claim], asked: Counter[str], most: Counter[str], view: _View
) -> _Sums:
    sums = _stated(claims, view)
    _raise_to(sums, asked)
    _shift(sums, -1, Counter(), most)
    _close(sums, claims, ())
    return sums


def _clashes(own: _Sums, every: _Sums, view: _View) -> bool:
    """Say whether an end of one claim is past what the ends of all the claims leave for it."""
    lows, highs = dict(every.lows), dict(every.highs)
    above = {}
    for whole, parts in view.tree:
        above.update(dict.fromkeys(parts, (whole, parts)))
        lows[whole] = max(lows[whole], sum([lows[part] for part in parts]))
        highs[whole] = min(highs[whole], sum([highs[part] for part in parts]))
    for name in [*above, _TOTAL]:
        low, high, at = own.lows[name], own.highs[name], name
        if high < lows[name] or low > max(0, highs[name]):
            return True
        while at in above:
            whole, parts = above[at]
            low += sum([lows[part] for part in parts if part != at])
            high += sum([highs[part] for part in parts if part != at])
            if high < every.lows[whole] or (own.lows[name] and low > every.highs[whole]):
                return True
            at = whole
    return False
