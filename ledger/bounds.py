"""How many persons, at least and at most: the bounds of one release or detention.

Takes what each live report says about how many (`Claim`) and hands on `Bounded`: the total, the
persons under each citizenship, and the claims that contradict each other. Opens nothing.

A world is a group of persons, each with a set of citizenships. The bounds are how far the counts
reach over the worlds that every claim allows; where there is none, the development is disputed.

Assumption, to be printed with every answer: a person holds one citizenship, unless a report lists
that person with several. So the persons with several citizenships are exactly the listed ones.

Persons are told apart by their key. Without one, a person differs from the others on the same list
and may be anybody on another. So a list asks for as many persons, holders of a citizenship, and
persons of one set of several as it shows; all who have a key, on whichever list, are one more list.

Let `y` count the holders of one citizenship only, `rest` those of none in view, `n` the persons of
several, `d` those of them who hold the citizenship in question. Each leaf occurs once in

    holders = y + d      foreign = rest + n + every y but the state's      total = foreign + the y

so intervals that are passed up and down these sums once are exact. To list a person with several
citizenships loosens the assumption: only such a report can agree with the others and still widen.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
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
    """Sorted: what a claim lists or a listed person holds; the state, if foreigners are counted."""
    other: Bounds
    """Persons under any one citizenship that is not in `citizenships`."""
    disputed: bool
    positions: tuple[int, ...]
    """The claims that disagree, ascending; empty where nothing is disputed."""


def bound(claims: Sequence[Claim], state: str | None) -> Bounded:
    """Return the bounds that the claims support together; without claims, no bounds at all.

    Where the claims cannot all hold, the bounds are the hull over the maximal sets of claims that
    can; `positions` are the claims outside any of these sets, that is the members of the minimal
    contradictions. A claim that contradicts itself is a set of its own (see `_as_stated`).

    Cost: linear in the claims where they agree; in a dispute, every subset of the contested ones.
    Of more than `EXACT_UP_TO` contested claims the cost is cubic, and the answer may be wider than
    exact and name too many positions, but is never narrower.
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
        names.update(claim.citizenships, *(person.citizenships for person in claim.persons))
        split = split or claim.foreign != UNSTATED
    if state is None or not split:
        return _View(sorted(names), state, [(_TOTAL, [*names, _REST])])
    tree = [(_FOREIGN, [*(names - {state}), _REST]), (_TOTAL, [_FOREIGN, state])]
    return _View(sorted(names | {state}), state, tree)


_Held = frozenset[str]  # The citizenships of one person.
_Counts = dict[str, int]
_Sets = dict[_Held, int]
_NO_COUNTS, _NO_SETS = _Counts(), _Sets()  # Never written to.
_Sums = tuple[dict[str, int], dict[str, int]]  # The least and the most of each sum.
_Beside = Mapping[str, tuple[str, int, int]]  # The sum that each is in, and the others in it.
_Readings = tuple[list[Bounded], set[int]]


def _agree(claims: Sequence[Claim], view: _View, loose: _Counts | None = None) -> Bounded | None:
    """Return the bounds under which all the claims hold, or None where no world fits them all.

    With `loose`, any number of persons up to it may hold several citizenships, so that the bounds
    also cover each larger set of claims.
    """
    asked, sets = _people(claims)
    least = most = _several(sets) if sets else _NO_COUNTS
    if loose is not None:
        least, most, sets = _NO_COUNTS, loose, _NO_SETS
    lows, highs = sums = _stated(claims, view, asked)
    if most:
        _shift(sums, -1, most, least)
    if not _close(sums, claims, sets) or not _settle(sums, view):
        return None
    if most:
        _shift(sums, 1, least, most)
    citizenships = {name: _bounds(lows[name], highs[name]) for name in view.names}
    # However many must hold something else, any one other citizenship may be held by nobody.
    other = _bounds(0, highs[_REST])
    return Bounded(_bounds(lows[_TOTAL], highs[_TOTAL]), citizenships, other, False, ())


def _bounds(low: int, high: int) -> Bounds:
    return Bounds(low, None if high >= _ENDLESS else high)


def _end(stated: Bounds) -> int:
    return _ENDLESS if stated.high is None else stated.high


def _people(claims: Iterable[Claim]) -> tuple[_Counts, _Sets]:
    """Return what lists of persons ask for: holders and persons, and persons of several."""
    lists = [claim.persons for claim in claims if claim.persons]
    if not lists:
        return _NO_COUNTS, _NO_SETS
    asked, sets = _Counts(), _Sets()
    for roster in _rosters(lists):
        holders = Counter([_TOTAL] * len(roster) + [name for held in roster for name in held])
        several = Counter([held for held in roster if len(held) > 1])
        asked.update({one: n for one, n in holders.items() if n > asked.get(one, 0)})
        sets.update({held: n for held, n in several.items() if n > sets.get(held, 0)})
    return asked, sets


def _rosters(lists: Sequence[Sequence[Person]]) -> list[list[_Held]]:
    """Return who is on each list and all with a key: what is said of them adds up."""
    known: dict[str | None, _Held] = {}
    for person in chain.from_iterable(lists):
        known[person.key] = known.get(person.key, frozenset()) | person.citizenships
    everybody = [held for key, held in known.items() if key is not None]
    rosters = [everybody] if len(lists) > 1 else []
    for persons in lists:
        nameless = [person.citizenships for person in persons if person.key is None]
        keys = {person.key for person in persons} - {None}
        rosters.append([known[key] for key in keys] + nameless)
    return rosters


def _several(sets: _Sets) -> _Counts:
    """Return how many of each sum hold several citizenships: all of them are foreign to a state."""
    counted = _Counts()
    for held, number in sets.items():
        for name in (*held, _FOREIGN, _TOTAL):
            counted[name] = counted.get(name, 0) + number
    return counted


def _stated(claims: Iterable[Claim], view: _View, asked: _Counts) -> _Sums:
    """Return what the claims say, and the lists ask for, of each sum in holders."""
    lows = dict.fromkeys([*view.names, _REST, _FOREIGN, _TOTAL], 0)
    highs = dict.fromkeys(lows, _ENDLESS)
    lows.update(asked)
    for claim in claims:
        foreign = UNSTATED if view.state is None else claim.foreign
        said = {**claim.citizenships, _TOTAL: claim.total, _FOREIGN: foreign}
        for name, stated in said.items():
            if stated.low > lows[name]:
                lows[name] = stated.low
            if stated.high is not None and stated.high < highs[name]:
                highs[name] = stated.high
    return lows, highs


def _shift(sums: _Sums, sign: int, by_lows: _Counts, by_highs: _Counts) -> None:
    """Leave out (-1) or put back (1) those who hold several citizenships."""
    lows, highs = sums
    for name, low in lows.items():
        lows[name] = max(0, low + sign * by_lows.get(name, 0))
        if highs[name] < _ENDLESS:
            highs[name] += sign * by_highs.get(name, 0)


def _close(sums: _Sums, claims: Iterable[Claim], sets: Iterable[_Held]) -> bool:
    """Leave nobody outside the exhaustive breakdowns; False where a person of several is."""
    _, highs = sums
    for claim in claims:
        if claim.exhaustive and claim.citizenships:
            for name in highs.keys() - claim.citizenships.keys() - {_FOREIGN, _TOTAL}:
                highs[name] = min(highs[name], 0)
            if any(held.isdisjoint(claim.citizenships) for held in sets):
                return False
    return True


def _settle(sums: _Sums, view: _View) -> bool:
    """Narrow every sum to what the others leave; False where they leave nothing."""
    lows, highs = sums
    _add_up(lows, highs, view)
    if any(map(gt, lows.values(), highs.values())):
        return False
    for whole, parts in reversed(view.tree):
        most = highs[whole]
        room = most if most >= _ENDLESS else most - sum([lows[part] for part in parts])
        need = lows[whole] - sum([highs[part] for part in parts])
        for part in parts:
            low, high = lows[part], highs[part]
            if low + room < high:
                highs[part] = low + room
            if high + need > low:
                lows[part] = high + need
    return True


def _add_up(lows: dict[str, int], highs: dict[str, int], view: _View) -> None:
    for whole, parts in view.tree:
        lows[whole] = max(lows[whole], sum([lows[part] for part in parts]))
        highs[whole] = min(highs[whole], sum([highs[part] for part in parts]))


def _disputed(claims: Iterable[Claim], view: _View) -> Bounded:
    groups = _distinct(claims)
    distinct = [group[0] for group in groups]
    _, sets = _people(distinct)
    # Any set of the claims knows at most all with a key, and all that one list has without.
    most = _several({held: 2 * number for held, number in sets.items()})
    contested = _contested(distinct, view, most)
    read = _exactly if len(contested) <= EXACT_UP_TO else _roughly
    readings, disagree = read(distinct, contested, view, most)
    positions = sorted(claim.position for index in disagree for claim in groups[index])

    def around(many: Sequence[Bounds]) -> Bounds:
        return _bounds(min(one.low for one in many), max(map(_end, many)))

    total, other = [one.total for one in readings], [one.other for one in readings]
    hull = {name: around([one.citizenships[name] for one in readings]) for name in view.names}
    return Bounded(around(total), hull, around(other), True, tuple(positions))


def _distinct(claims: Iterable[Claim]) -> list[list[Claim]]:
    """Return the claims in groups that say the same, so that a repeated report has one voice."""
    groups: dict[object, list[Claim]] = {}
    for claim in claims:
        listed, persons = claim.citizenships.items(), Counter(claim.persons).items()
        said = claim.total, frozenset(listed), claim.exhaustive, claim.foreign, frozenset(persons)
        groups.setdefault(said, []).append(claim)
    return list(groups.values())


def _exactly(claims: list[Claim], contested: set[int], view: _View, most: _Counts) -> _Readings:
    """Return a reading of every maximal set of claims that can hold, and who is not in all."""
    calm = set(range(len(claims))) - contested
    # Only where nobody can hold several citizenships does no third claim settle a contradiction.
    few = [set(chosen) for size in (1, 2) for chosen in combinations(contested, size) if not most]
    apart = [chosen for chosen in few if _agree([claims[one] for one in chosen], view) is None]
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
    readings += [_as_stated(claims[one], view) for one in contested.difference(*maximal)]
    return readings, contested.difference(maximal[0].intersection(*maximal) if maximal else ())


def _as_stated(claim: Claim, view: _View) -> Bounded:
    """Return what a claim says that contradicts itself.

    Each number is as stated, stretched to the nearest one that the rest of the claim allows: a
    total of 14 beside an exhaustive breakdown that adds up to 13 is read as 13 to 14.
    """
    freed = _agree([replace(claim, total=UNSTATED)], view)
    total = _stretched(claim.total, freed.total if freed else claim.total)
    other = Bounds(0, 0 if claim.exhaustive and claim.citizenships else total.high)
    asked, _ = _people([claim])
    citizenships = {}
    for name in view.names:
        citizenships[name] = _bounds(asked.get(name, 0), max(asked.get(name, 0), _end(other)))
        if name in claim.citizenships:
            rest = {**claim.citizenships, name: UNSTATED}
            freed = _agree([replace(claim, citizenships=rest)], view)
            stated = claim.citizenships[name]
            citizenships[name] = _stretched(stated, freed.citizenships[name] if freed else stated)
    return Bounded(total, citizenships, other, True, (claim.position,))


def _stretched(stated: Bounds, allowed: Bounds) -> Bounds:
    low, high = sorted((stated.low, _end(stated)))
    return _bounds(min(low, _end(allowed)), max(high, allowed.low))


def _roughly(claims: list[Claim], contested: set[int], view: _View, most: _Counts) -> _Readings:
    """Return a reading of each contested claim, beside the claims that nothing can part it from.

    A maximal set lies within what can stand beside each of its members, and holds all of that
    which is not contested there; so the hull of these readings is never narrower than the exact.
    """
    alone = [claims[index] for index in contested]
    together = []
    for claim in alone:
        near = [other for other in claims if most or _agree([claim, other], view)]
        doubtful = _contested(near, view, most)
        together.append([it for at, it in enumerate(near) if at not in doubtful or it is claim])
    calm = [claim for index, claim in enumerate(claims) if index not in contested]
    if not any(_agree([*calm, claim], view) for claim in alone):
        together.append(calm)
    readings = [_as_stated(claim, view) for claim in alone if _agree([claim], view) is None]
    readings += filter(None, [_agree(chosen, view, most) for chosen in together if chosen])
    return readings, contested


def _contested(claims: Sequence[Claim], view: _View, most: _Counts) -> set[int]:
    """Return the claims that may take part in a contradiction, by the strictest reading.

    On a tree of sums, a contradiction is an end of one sum against ends of sums below it, so it is
    enough to hold each end that a claim states against the strictest ends that any claim states.
    """

    def strictly(claims: Sequence[Claim], asked: _Counts) -> _Sums:
        sums = _stated(claims, view, asked)
        _shift(sums, -1, _NO_COUNTS, most)
        _close(sums, claims, ())
        return sums

    asked, _ = _people(claims)
    every, (lows, highs) = strictly(claims, asked), strictly(claims, asked)
    _add_up(lows, highs, view)
    beside = {}
    for whole, parts in view.tree:
        low, high = sum([lows[part] for part in parts]), sum([highs[part] for part in parts])
        beside.update({part: (whole, low - lows[part], high - highs[part]) for part in parts})
    found = set()
    for index, claim in enumerate(claims):
        # A person with several citizenships changes the sums of all the other claims.
        changes = most and (claim.persons or claim.exhaustive)
        own = strictly([claim], asked if claim.persons else _NO_COUNTS)
        if changes or _clashes(own, (lows, highs), every, beside):
            found.add(index)
    return found


def _clashes(own: _Sums, below: _Sums, every: _Sums, beside: _Beside) -> bool:
    """Say whether an end in `own` is past what is stated below it, or of a sum that it is in."""
    for at, low, high in zip(own[0], own[0].values(), own[1].values(), strict=True):
        stated, whole = low > 0, at
        if high < below[0][at] or (stated and low > below[1][at]):
            return True
        while whole in beside and (stated or high < _ENDLESS):
            whole, others_low, others_high = beside[whole]
            low, high = low + others_low, high + others_high
            if high < every[0][whole] or (stated and low > every[1][whole]):
                return True
    return False
