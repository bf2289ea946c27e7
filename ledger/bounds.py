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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations
from operator import add, gt, or_, sub
from typing import Any, NamedTuple

EXACT_UP_TO = 10
"""Contested claims whose subsets are all looked at; with more, the bounds are wider than exact."""

_ENDLESS = 1 << 100  # Stands for "no upper bound": far above every sum of recordable integers.


class Bounds(NamedTuple):
    """At least `low` and at most `high` persons; `high` None where no upper bound is stated."""

    low: int
    high: int | None


UNSTATED = Bounds(0, None)


class Person(NamedTuple):
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
    said = [_said(claim, view) for claim in claims]
    return _agree(said, view) or _disputed(said, view)


class _View(NamedTuple):
    """The sums in view: where each stands in the lists of numbers, and how they add up.

    First the citizenships by name, then the rest (the holders of none of them), the total last; with
    the foreign told apart, these and the state's own stand between the rest and the total.
    """

    names: list[str]
    """The citizenships, sorted."""
    places: dict[str, int]
    rest: int
    foreign: int | None
    tree: list[tuple[int, slice]]
    """Each sum of others with those that it adds up, from below."""
    zeros: list[int]
    ends: list[int]
    bits: dict[str, int]
    """The persons with a key, a bit for each."""
    several: bool
    """Whether anybody is listed with several citizenships."""


_Held = frozenset[str]  # The citizenships of one person.
_Sets = dict[_Held, int]
_Numbers = list[int]  # One for each place.
_Sums = tuple[_Numbers, _Numbers]  # The least and the most of each sum.
_Beside = Mapping[int, tuple[int, int, int]]  # The sum that each is in, and the others in it.
_Readings = tuple[list[Bounded], set[int]]


class _Said(NamedTuple):
    """What one claim says of each sum, so that what several say is a `max` or `min` over lists."""

    claim: Claim
    lows: _Numbers
    highs: _Numbers
    closed: _Numbers | None
    """0 at each place that an exhaustive breakdown leaves empty; None where it is not one."""
    listed: int
    """The persons with a key on its list, as bits."""
    held: _Numbers
    """Of those who hold each citizenship, or are of the total, the bits."""
    nameless: _Numbers
    """How many without a key do."""
    unkeyed: list[_Held]


def _view(claims: Sequence[Claim], state: str | None) -> _View:
    names: set[str] = set()
    known: dict[str, _Held] = {}
    split = several = False
    for claim in claims:
        names.update(claim.citizenships)
        split = split or claim.foreign != UNSTATED
        for key, held in claim.persons:
            names |= held
            if key is not None:
                held = known[key] = held | known.get(key, held)
            several = several or len(held) > 1
    bits = {key: 1 << at for at, key in enumerate(known)}
    if state is None or not split:
        order = sorted(names)
        size = len(order) + 2
        rest, foreign, tree = size - 2, None, [(size - 1, slice(0, size - 1))]
    else:
        order = sorted(names - {state})
        size = len(order) + 4
        rest, foreign = size - 4, size - 3
        tree = [(foreign, slice(0, foreign)), (size - 1, slice(foreign, size - 1))]
    places = {name: place for place, name in enumerate(order)}
    if foreign is not None and state is not None:
        places[state] = foreign + 1
    zeros, ends = [0] * size, [_ENDLESS] * size
    return _View(sorted(places), places, rest, foreign, tree, zeros, ends, bits, several)


def _said(claim: Claim, view: _View) -> _Said:
    lows, highs, held, nameless = view.zeros[:], view.ends[:], view.zeros, view.zeros
    lows[-1], highs[-1] = claim.total.low, _end(claim.total)
    for name, stated in claim.citizenships.items():
        place = view.places[name]
        lows[place], highs[place] = stated.low, _end(stated)
    if view.foreign is not None:
        lows[view.foreign], highs[view.foreign] = claim.foreign.low, _end(claim.foreign)
    closed = _closed(claim, view) if claim.exhaustive and claim.citizenships else None
    listed, unkeyed = 0, []
    if claim.persons:
        held, nameless = held[:], nameless[:]
        for key, citizenships in claim.persons:
            if key is None:
                unkeyed.append(citizenships)
                for place in _counted(citizenships, view):
                    nameless[place] += 1
            else:
                listed |= view.bits[key]
                for place in _counted(citizenships, view):
                    held[place] |= view.bits[key]
    return _Said(claim, lows, highs, closed, listed, held, nameless, unkeyed)


def _counted(held: _Held, view: _View) -> list[int]:
    """Return the places at which a person counts: the total, and each citizenship."""
    return [-1, *map(view.places.__getitem__, held)]


def _closed(claim: Claim, view: _View) -> _Numbers:
    closed = view.ends[:]
    for name, place in view.places.items():
        if name not in claim.citizenships:
            closed[place] = 0
    closed[view.rest] = 0
    return closed


def _agree(said: Sequence[_Said], view: _View, loose: _Numbers | None = None) -> Bounded | None:
    """Return the bounds under which all the claims hold, or None where no world fits them all.

    With `loose`, any number of persons up to it may hold several citizenships, so that the bounds
    also cover each larger set of claims.
    """
    asked, sets = _people(said, view)
    least = most = _several(sets, view) if sets else None
    if loose is not None:
        least, most, sets = view.zeros, loose, {}
    lows, highs = sums = _stated(said, view, asked)
    if least is not None and most is not None:
        _shift(sums, sub, most, least)
    if not _close(highs, said, sets) or not _settle(lows, highs, view):
        return None
    if least is not None and most is not None:
        _shift(sums, add, least, most)
    places = view.places
    citizenships = {name: _bounds(lows[places[name]], highs[places[name]]) for name in view.names}
    # However many must hold something else, any one other citizenship may be held by nobody.
    other = _bounds(0, highs[view.rest])
    return Bounded(_bounds(lows[-1], highs[-1]), citizenships, other, False, ())


def _bounds(low: int, high: int) -> Bounds:
    return Bounds(low, None if high >= _ENDLESS else high)


def _end(stated: Bounds) -> int:
    return _ENDLESS if stated.high is None else stated.high


def _people(said: Sequence[_Said], view: _View) -> tuple[_Numbers, _Sets]:
    """Return what lists of persons ask for: holders and persons, and persons of several.

    All who have a key, on whichever list, are one list; what is said of them adds up. A list on
    which some have none asks for these beside those of its own who have one.
    """
    lists = [one for one in said if one.claim.persons]
    if not lists:
        return view.zeros, {}
    held = lists[0].held if len(lists) == 1 else _joined([one.held for one in lists])
    asked = [holders.bit_count() for holders in held]
    for one in lists:
        if one.unkeyed:
            own = [(holders & one.listed).bit_count() for holders in held]
            asked = list(map(max, asked, map(add, own, one.nameless)))
    return asked, _sets(lists, held, view) if view.several else {}


def _joined(many: Sequence[_Numbers]) -> _Numbers:
    return [reduce(or_, masks) for masks in zip(*many, strict=True)]


def _sets(lists: Sequence[_Said], held: _Numbers, view: _View) -> _Sets:
    """Return, of those with the same several citizenships, how many some list asks for."""
    known: dict[int, _Held] = {}
    for bit in view.bits.values():
        if held[-1] & bit:
            known[bit] = frozenset(name for name, at in view.places.items() if held[at] & bit)
    sets = Counter(known.values())
    for one in lists:
        own = Counter([has for bit, has in known.items() if one.listed & bit] + one.unkeyed)
        sets |= own
    return {has: number for has, number in sets.items() if len(has) > 1}


def _several(sets: _Sets, view: _View) -> _Numbers:
    """Return how many of each sum hold several citizenships: all of them are foreign to a state."""
    counted = view.zeros[:]
    for held, number in sets.items():
        for place in _counted(held, view):
            counted[place] += number
        if view.foreign is not None:
            counted[view.foreign] += number
    return counted


def _stated(said: Sequence[_Said], view: _View, asked: _Numbers) -> _Sums:
    """Return what the claims say, and the lists ask for, of each sum in holders."""
    if not said:
        return asked[:], view.ends[:]
    lows = list(map(max, asked, *[one.lows for one in said]))
    highs = list(map(min, view.ends, *[one.highs for one in said]))
    return lows, highs


def _shift(
    sums: _Sums, step: Callable[[int, int], int], by_lows: _Numbers, by_highs: _Numbers
) -> None:
    """Leave out (sub) or put back (add) those who hold several citizenships."""
    lows, highs = sums
    lows[:] = [max(0, step(low, by)) for low, by in zip(lows, by_lows, strict=True)]
    highs[:] = [
        high if high >= _ENDLESS else step(high, by)
        for high, by in zip(highs, by_highs, strict=True)
    ]


def _close(highs: _Numbers, said: Iterable[_Said], sets: Iterable[_Held]) -> bool:
    """Leave nobody outside the exhaustive breakdowns; False where a person of several is."""
    for one in said:
        if one.closed is not None:
            highs[:] = map(min, highs, one.closed)
            if any(held.isdisjoint(one.claim.citizenships) for held in sets):
                return False
    return True


def _settle(lows: _Numbers, highs: _Numbers, view: _View) -> bool:
    """Narrow every sum to what the others leave; False where they leave nothing."""
    _add_up(lows, highs, view)
    if any(map(gt, lows, highs)):
        return False
    for whole, parts in reversed(view.tree):
        most = highs[whole]
        room = most if most >= _ENDLESS else most - sum(lows[parts])
        need = lows[whole] - sum(highs[parts])
        for part in range(parts.start, parts.stop):
            low, high = lows[part], highs[part]
            if low + room < high:
                highs[part] = low + room
            if high + need > low:
                lows[part] = high + need
    return True


def _add_up(lows: _Numbers, highs: _Numbers, view: _View) -> None:
    for whole, parts in view.tree:
        lows[whole] = max(lows[whole], sum(lows[parts]))
        highs[whole] = min(highs[whole], sum(highs[parts]))


def _disputed(said: Sequence[_Said], view: _View) -> Bounded:
    groups = _distinct(said)
    distinct = [group[0] for group in groups]
    _, sets = _people(distinct, view)
    # Any set of the claims knows at most all with a key, and all that one list has without.
    most = _several({held: 2 * number for held, number in sets.items()}, view) if sets else None
    contested = _contested(distinct, view, most)
    read = _exactly if len(contested) <= EXACT_UP_TO else _roughly
    readings, disagree = read(distinct, contested, view, most)
    positions = sorted(one.claim.position for index in disagree for one in groups[index])

    def around(many: Sequence[Bounds]) -> Bounds:
        return _bounds(min([one.low for one in many]), max(map(_end, many)))

    total, other = [one.total for one in readings], [one.other for one in readings]
    hull = {name: around([one.citizenships[name] for one in readings]) for name in view.names}
    return Bounded(around(total), hull, around(other), True, tuple(positions))


def _distinct(said: Iterable[_Said]) -> list[list[_Said]]:
    """Return the claims in groups that say the same, so that a repeated report has one voice."""
    groups: dict[object, list[_Said]] = {}
    for one in said:
        claim = one.claim
        listed, persons = claim.citizenships.items(), Counter(claim.persons).items()
        same = claim.total, frozenset(listed), claim.exhaustive, claim.foreign, frozenset(persons)
        groups.setdefault(same, []).append(one)
    return list(groups.values())


def _exactly(
    said: list[_Said], contested: set[int], view: _View, most: _Numbers | None
) -> _Readings:
    """Return a reading of every maximal set of claims that can hold, and who is not in all."""
    calm = set(range(len(said))) - contested
    # Only where nobody can hold several citizenships does no third claim settle a contradiction.
    few = [] if most else [set(few) for size in (1, 2) for few in combinations(contested, size)]
    apart = [chosen for chosen in few if _agree([said[one] for one in chosen], view) is None]
    maximal: list[set[int]] = []
    readings: list[Bounded] = []
    for size in range(len(contested), -1 if calm else 0, -1):
        for chosen in map(set, combinations(contested, size)):
            if any(map(chosen.issubset, maximal)) or any(map(chosen.issuperset, apart)):
                continue
            reading = _agree([said[one] for one in chosen | calm], view)
            if reading is not None:
                maximal.append(chosen)
                readings.append(reading)
    readings += [_as_stated(said[one].claim, view) for one in contested.difference(*maximal)]
    return readings, contested.difference(maximal[0].intersection(*maximal) if maximal else ())


def _as_stated(claim: Claim, view: _View) -> Bounded:
    """Return what a claim says that contradicts itself.

    Each number is as stated, stretched to the nearest one that the rest of the claim allows: a
    total of 14 beside an exhaustive breakdown that adds up to 13 is read as 13 to 14.
    """

    def without(**stated: Any) -> Bounded | None:
        return _agree([_said(replace(claim, **stated), view)], view)

    freed = without(total=UNSTATED)
    total = _stretched(claim.total, freed.total if freed else claim.total)
    other = Bounds(0, 0 if claim.exhaustive and claim.citizenships else total.high)
    asked, _ = _people([_said(claim, view)], view)
    citizenships = {}
    for name in view.names:
        least = asked[view.places[name]]
        citizenships[name] = _bounds(least, max(least, _end(other)))
        if name in claim.citizenships:
            freed = without(citizenships={**claim.citizenships, name: UNSTATED})
            stated = claim.citizenships[name]
            citizenships[name] = _stretched(stated, freed.citizenships[name] if freed else stated)
    return Bounded(total, citizenships, other, True, (claim.position,))


def _stretched(stated: Bounds, allowed: Bounds) -> Bounds:
    low, high = sorted((stated.low, _end(stated)))
    return _bounds(min(low, _end(allowed)), max(high, allowed.low))


def _roughly(
    said: list[_Said], contested: set[int], view: _View, most: _Numbers | None
) -> _Readings:
    """Return a reading of each contested claim, beside the claims that nothing can part it from.

    A maximal set lies within what can stand beside each of its members, and holds all of that
    which is not contested there; so the hull of these readings is never narrower than the exact.
    """
    alone = [said[index] for index in contested]
    together = []
    for own in alone:
        near = [other for other in said if most or _agree([own, other], view)]
        doubtful = _contested(near, view, most)
        together.append([it for at, it in enumerate(near) if at not in doubtful or it is own])
    calm = [one for index, one in enumerate(said) if index not in contested]
    if not any(_agree([*calm, one], view) for one in alone):
        together.append(calm)
    readings = [_as_stated(one.claim, view) for one in alone if _agree([one], view) is None]
    readings += filter(None, [_agree(chosen, view, most) for chosen in together if chosen])
    return readings, contested


def _contested(said: Sequence[_Said], view: _View, most: _Numbers | None) -> set[int]:
    """Return the claims that may take part in a contradiction, by the strictest reading.

    On a tree of sums, a contradiction is an end of one sum against ends of sums below it, so it is
    enough to hold each end that a claim states against the strictest ends that any claim states.
    """

    def strictly(said: Sequence[_Said], asked: _Numbers) -> _Sums:
        sums = _stated(said, view, asked)
        if most is not None:
            _shift(sums, sub, view.zeros, most)
        _close(sums[1], said, ())
        return sums

    asked, _ = _people(said, view)
    every, (lows, highs) = strictly(said, asked), strictly(said, asked)
    _add_up(lows, highs, view)
    beside: dict[int, tuple[int, int, int]] = {}
    for whole, parts in view.tree:
        low, high = sum(lows[parts]), sum(highs[parts])
        for part in range(parts.start, parts.stop):
            beside[part] = whole, low - lows[part], high - highs[part]
    found = set()
    for index, one in enumerate(said):
        # A person with several citizenships changes the sums of all the other claims.
        changes = most and (one.claim.persons or one.claim.exhaustive)
        own = strictly([one], asked if one.claim.persons else view.zeros)
        if changes or _clashes(own, (lows, highs), every, beside):
            found.add(index)
    return found


def _clashes(own: _Sums, below: _Sums, every: _Sums, beside: _Beside) -> bool:
    """Say whether an end in `own` is past what is stated below it, or of a sum that it is in."""
    for at, (low, high) in enumerate(zip(*own, strict=True)):
        stated, whole = low > 0, at
        if high < below[0][at] or (stated and low > below[1][at]):
            return True
        while whole in beside and (stated or high < _ENDLESS):
            whole, others_low, others_high = beside[whole]
            low, high = low + others_low, high + others_high
            if high < every[0][whole] or (stated and low > every[1][whole]):
                return True
    return False
