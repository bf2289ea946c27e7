"""The sums that claims are about, and how far they reach together.

Takes claims; hands on the bounds under which all of them hold, or the news that none do. What a
claim says stands in lists, a place for each sum, so that what several say is a `max` or a `min`.

Let `y` count the holders of one citizenship only, `rest` those of none in view, `n` the persons of
several, `d` those of them who hold the citizenship in question. Each leaf occurs once in

    holders = y + d      foreign = rest + n + the y of other states      total = foreign + other y

where the other y are the state's own and the stateless, so intervals that are passed up and down
these sums once are exact. Who of several citizenships are the same may be open: `Several`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import add, gt, or_, sub
from typing import NamedTuple

from ledger.bounds.claims import STATELESS, UNSTATED, Bounded, Bounds, Claim

ENDLESS = 1 << 100  # Stands for "no upper bound": far above every sum of recordable integers.

Held = frozenset[str]  # The citizenships of one person.
Sets = dict[Held, int]
Numbers = list[int]  # One for each place.
Sums = tuple[Numbers, Numbers]  # The least and the most of each sum.


class View(NamedTuple):
    """The sums in view: where each stands in the lists of numbers, and how they add up.

    First the citizenships by name, then the rest (the holders of none of them), last the total; if
    the foreign are told apart, these, the state's own and the stateless stand between the rest and
    the total.
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


class Said(NamedTuple):
    """What one claim says of each sum, so that what several say is a `max` or `min` over lists."""

    claim: Claim
    lows: Numbers
    highs: Numbers
    closed: Numbers | None
    """0 at each place that an exhaustive breakdown leaves empty; None where it is not one."""
    listed: int
    """The persons with a key on its list, as bits."""
    held: Numbers
    """Of those who hold each citizenship, or are of the total, the bits."""
    nameless: Numbers
    """How many without a key do."""
    unkeyed: list[Held]


class Several(NamedTuple):
    """Those who hold several citizenships. Lists that show some without a key in different ways may
    show the same person or not: then there are at least `least` of them and at most `most`."""

    sets: Sets
    """What they hold, and how many of them do at most."""
    least: Numbers
    most: Numbers


def view_of(claims: Sequence[Claim], state: str | None) -> View:
    """Return the sums that the claims are about; the state's own only where foreigners are."""
    names, known = set[str](), dict[str, Held]()
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
        order, rest, foreign = sorted(names), len(names), None
        tree = [(rest + 1, slice(0, rest + 1))]
    else:
        order = sorted(names - {state, STATELESS})
        rest, foreign = len(order), len(order) + 1
        order += ["", "", state, *(names & {STATELESS})]
        tree = [(foreign, slice(0, foreign)), (len(order), slice(foreign, len(order)))]
    places = {name: place for place, name in enumerate(order) if name}
    size = tree[-1][0] + 1
    zeros, ends = [0] * size, [ENDLESS] * size
    return View(sorted(places), places, rest, foreign, tree, zeros, ends, bits, several)


def said_by(claim: Claim, view: View) -> Said:
    """Return what one claim says of each sum in view."""
    lows, highs = view.zeros[:], view.ends[:]
    lows[-1], highs[-1] = claim.total.low, end_of(claim.total)
    for name, stated in claim.citizenships.items():
        place = view.places[name]
        lows[place], highs[place] = stated.low, end_of(stated)
    if view.foreign is not None:
        lows[view.foreign], highs[view.foreign] = claim.foreign.low, end_of(claim.foreign)
    if claim.unknown and not view.several:  # else who holds several is counted more than once
        lows[-1] = max(lows[-1], _shown_by(claim, view) + claim.unknown)
    closed = _closed(claim, view) if claim.leaves_nobody_out else None
    if claim.persons:
        return Said(claim, lows, highs, closed, *_listed(claim, view))
    return Said(claim, lows, highs, closed, 0, view.zeros, view.zeros, [])


def _shown_by(claim: Claim, view: View) -> int:
    """Return how many persons are listed at least, where each holds one citizenship."""
    among = view.rest if view.foreign is None else view.foreign
    lows = [(view.places[name], stated.low) for name, stated in claim.citizenships.items()]
    foreign = max(claim.foreign.low, sum([low for place, low in lows if place < among]))
    return foreign + sum([low for place, low in lows if place >= among])


def _listed(claim: Claim, view: View) -> tuple[int, Numbers, Numbers, list[Held]]:
    listed, held, nameless = 0, view.zeros[:], view.zeros[:]
    unkeyed = []
    for key, citizenships in claim.persons:
        places = _counted(citizenships, view)
        if key is None:
            unkeyed.append(citizenships)
            for place in places:
                nameless[place] += 1
        else:
            listed |= view.bits[key]
            for place in places:
                held[place] |= view.bits[key]
    return listed, held, nameless, unkeyed


def _counted(held: Held, view: View) -> list[int]:
    """Return the places at which a person counts: the total, and each citizenship."""
    return [-1, *map(view.places.__getitem__, held)]


def _closed(claim: Claim, view: View) -> Numbers:
    closed = view.ends[:]
    for name, place in view.places.items():
        if name not in claim.citizenships:
            closed[place] = 0
    closed[view.rest] = 0
    if claim.foreign != UNSTATED:  # anybody's citizens but the state's, where there is one
        closed[: view.foreign] = view.ends[: view.foreign]
    return closed


def agree(said: Sequence[Said], view: View, loose: Numbers | None = None) -> Bounded | None:
    """Return the bounds under which all the claims hold, or None where no world fits them all.

    With `loose`, any number of persons up to it may hold several citizenships, so that the bounds
    also cover each larger set of claims.
    """
    asked, several = asked_by(said, view)
    if loose is not None:
        several = Several({}, view.zeros, loose)
    lows, highs = sums = stated_by(said, view, asked)
    if several is not None:
        stated = lows[:], highs[:]
        shift(sums, sub, several.most, several.least)
    # Where it is open who is the same, nobody is surely outside of a breakdown.
    known = several.sets if several is not None and several.least == several.most else ()
    if not close(highs, said, known) or not _settle(lows, highs, view):
        return None
    if several is not None:
        shift(sums, add, several.least, several.most)
        # What is stated holds all the same, and nobody counts who is not of the total.
        lows[:] = map(max, lows, stated[0])
        in_all = min(highs[-1], stated[1][-1])
        highs[:] = [min(high, its, in_all) for high, its in zip(highs, stated[1], strict=True)]
    places = view.places
    citizenships = {name: bounds_of(lows[places[name]], highs[places[name]]) for name in view.names}
    # However many must hold something else, any one other citizenship may be held by nobody.
    other = bounds_of(0, highs[view.rest])
    total = bounds_of(lows[-1], highs[-1])
    return Bounded(total, citizenships, other, False, (), held_with_others(several, view))


def held_with_others(several: Several | None, view: View) -> dict[str, int]:
    """Return of which citizenships the holders may hold another one, too: how many do at most."""
    if several is None:
        return {}
    return {name: most for name in view.names if (most := several.most[view.places[name]])}


def bounds_of(low: int, high: int) -> Bounds:
    return Bounds(low, None if high >= ENDLESS else high)


def hull(many: Sequence[Bounds]) -> Bounds:
    """Return the bounds around all of these."""
    return bounds_of(min([one.low for one in many]), max(map(end_of, many)))


def end_of(stated: Bounds) -> int:
    return ENDLESS if stated.high is None else stated.high


def asked_by(said: Sequence[Said], view: View) -> tuple[Numbers, Several | None]:
    """Return what lists of persons ask for: holders and persons, and persons of several if any.

    All who have a key, on whichever list, are one list; what is said of them adds up. A list on
    which some have none asks for these beside those of its own who have one.
    """
    lists = [one for one in said if one.claim.persons]
    if not lists:
        return view.zeros, None
    held = lists[0].held if len(lists) == 1 else _joined([one.held for one in lists])
    asked = [holders.bit_count() for holders in held]
    for one in lists:
        if one.unkeyed:
            own = [(holders & one.listed).bit_count() for holders in held]
            asked = list(map(max, asked, map(add, own, one.nameless)))
    return asked, _several(lists, held, view) if view.several else None


def is_open(said: Sequence[Said], view: View) -> bool:
    """Return whether it is open who of those that hold several citizenships are the same."""
    _, several = asked_by(said, view)
    return several is not None and several.least != several.most


def _joined(many: Sequence[Numbers]) -> Numbers:
    return [reduce(or_, masks) for masks in zip(*many, strict=True)]


def _several(lists: Sequence[Said], held: Numbers, view: View) -> Several | None:
    """Return how many hold several citizenships: as many as a list shows, or as all together."""
    known: dict[int, Held] = {}
    for bit in view.bits.values():
        if held[-1] & bit:
            known[bit] = frozenset(name for name, at in view.places.items() if held[at] & bit)
    shown = [Counter(known.values())]
    for one in lists:
        shown.append(Counter([has for bit, has in known.items() if one.listed & bit]))
        shown[-1].update(one.unkeyed)
    sets = reduce(or_, [_of_several(one) for one in shown])
    if not sets:
        return None
    each = [_counts(_of_several(one), view) for one in shown]
    return Several(sets, [max(many) for many in zip(*each, strict=True)], _counts(sets, view))


def _of_several(shown: Counter[Held]) -> Counter[Held]:
    return Counter({held: number for held, number in shown.items() if len(held) > 1})


def _counts(sets: Sets, view: View) -> Numbers:
    """Return how many of each sum hold several citizenships: all of them are foreign to a state."""
    counted = view.zeros[:]
    for held, number in sets.items():
        for place in _counted(held, view):
            counted[place] += number
        if view.foreign is not None:
            counted[view.foreign] += number
    return counted


def stated_by(said: Sequence[Said], view: View, asked: Numbers) -> Sums:
    """Return what the claims say, and the lists ask for, of each sum in holders."""
    if not said:
        return asked[:], view.ends[:]
    lows = list(map(max, asked, *[one.lows for one in said]))
    highs = list(map(min, view.ends, *[one.highs for one in said]))
    return lows, highs


def shift(
    sums: Sums, step: Callable[[int, int], int], by_lows: Numbers, by_highs: Numbers
) -> None:
    """Leave out (sub) or put back (add) those who hold several citizenships."""
    lows, highs = sums
    lows[:] = [max(0, step(low, by)) for low, by in zip(lows, by_lows, strict=True)]
    highs[:] = [
        high if high >= ENDLESS else step(high, by)
        for high, by in zip(highs, by_highs, strict=True)
    ]


def close(highs: Numbers, said: Iterable[Said], sets: Iterable[Held]) -> bool:
    """Leave nobody outside the exhaustive breakdowns; False where a person of several is."""
    for one in said:
        if one.closed is not None:
            highs[:] = map(min, highs, one.closed)
            if one.claim.foreign == UNSTATED and any(
                held.isdisjoint(one.claim.citizenships) for held in sets
            ):
                return False
    return True


def _settle(lows: Numbers, highs: Numbers, view: View) -> bool:
    """Narrow every sum to what the others leave; False where they leave nothing."""
    add_up(lows, highs, view)
    if any(map(gt, lows, highs)):
        return False
    for whole, parts in reversed(view.tree):
        most = highs[whole]
        room = most if most >= ENDLESS else most - sum(lows[parts])
        need = lows[whole] - sum(highs[parts])
        for part in range(parts.start, parts.stop):
            low, high = lows[part], highs[part]
            if low + room < high:
                highs[part] = low + room
            if high + need > low:
                lows[part] = high + need
    return True


def add_up(lows: Numbers, highs: Numbers, view: View) -> None:
    for whole, parts in view.tree:
        lows[whole] = max(lows[whole], sum(lows[parts]))
        highs[whole] = min(highs[whole], sum(highs[parts]))
