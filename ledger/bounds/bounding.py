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

To list a person with several citizenships loosens the assumption: only such a report can agree with
the others and still widen. How sums bind each other: `sums`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from operator import sub
from typing import Any

from ledger.bounds.claims import UNSTATED, Bounded, Bounds, Claim
from ledger.bounds.sums import (
    ENDLESS,
    Numbers,
    Said,
    Sums,
    View,
    add_up,
    agree,
    asked_by,
    bounds_of,
    close,
    end_of,
    held_with_others,
    hull,
    is_open,
    said_by,
    shift,
    stated_by,
    view_of,
)

EXACT_UP_TO = 10
"""Contested claims whose subsets are all looked at; with more, the bounds are wider than exact."""

PAIRED_FROM = 5
"""Contested claims from which on looking at the pairs first saves more sets than it costs."""

_Readings = tuple[list[Bounded], set[int]]
_Beside = Mapping[int, tuple[int, int, int]]  # The sum that each is in, and the others in it.


def bound(claims: Sequence[Claim], state: str | None) -> Bounded:
    """Return the bounds that the claims support together; without claims, no bounds at all.

    Where the claims cannot all hold, the bounds are the hull over the maximal sets of claims that
    can; `positions` are the claims outside any of these sets, that is the members of the minimal
    contradictions. A claim that contradicts itself is a set of its own (see `_as_stated`).

    Cost: linear in the claims where they agree; in a dispute, every subset of the contested ones.
    Of more than `EXACT_UP_TO` contested claims the cost is cubic, and the answer may be wider than
    exact and name too many positions, but is never narrower.
    """
    view = view_of(claims, state)
    said = [said_by(claim, view) for claim in claims]
    return agree(said, view) or _disputed(said, view)


def _disputed(said: Sequence[Said], view: View) -> Bounded:
    groups = _distinct(said)
    distinct = [group[0] for group in groups]
    _, several = asked_by(distinct, view)
    # Any set of the claims knows at most all with a key, and all that one list has without.
    most = [2 * number for number in several.most] if several else None
    contested = _contested(distinct, view, most)
    read = _exactly if len(contested) <= EXACT_UP_TO else _roughly
    readings, disagree = read(distinct, contested, view, most)
    positions = sorted(one.claim.position for index in disagree for one in groups[index])

    total, other = hull([one.total for one in readings]), hull([one.other for one in readings])
    under = {name: hull([one.citizenships[name] for one in readings]) for name in view.names}
    held = {
        name: max([one.several.get(name, 0) for one in readings])
        for name in sorted({name for one in readings for name in one.several})
    }
    return Bounded(total, under, other, True, tuple(positions), held)


def _distinct(said: Iterable[Said]) -> list[list[Said]]:
    """Return the claims in groups that say the same, so that a repeated report has one voice."""
    groups: dict[object, list[Said]] = {}
    for one in said:
        claim = one.claim
        persons = frozenset(Counter(claim.persons).items()) if claim.persons else None
        listed = frozenset(claim.citizenships.items())
        same = claim.total, listed, claim.exhaustive, claim.foreign, persons, claim.unknown
        groups.setdefault(same, []).append(one)
    return list(groups.values())


def _exactly(
    said: list[Said], contested: set[int], view: View, most: Numbers | None
) -> _Readings:
    """Return a reading of every maximal set of claims that can hold, and who is not in all.

    Where it is open who is the same, a set may only seem to hold: then smaller ones are read, too.
    """
    calm = set(range(len(said))) - contested
    apart = [] if most or len(contested) < PAIRED_FROM else _apart(said, contested, view)
    maximal: list[set[int]] = []
    surely: list[set[int]] = []
    readings: list[Bounded] = []
    # All of them together cannot hold: that is why anybody asks.
    for size in range(len(contested) - 1, -1 if calm else 0, -1):
        for chosen in map(set, combinations(contested, size)):
            within = any(map(chosen.issubset, maximal))
            if any(map(chosen.issubset, surely)) or any(map(chosen.issuperset, apart)):
                continue
            claims = [said[one] for one in chosen | calm]
            if (within and not chosen) or (reading := agree(claims, view)) is None:
                continue
            readings.append(reading)
            maximal += [] if within else [chosen]
            surely += [] if is_open(claims, view) else [chosen]
    readings += [_as_stated(said[one].claim, view) for one in contested.difference(*maximal)]
    return readings, contested.difference(maximal[0].intersection(*maximal) if maximal else ())


def _apart(said: list[Said], contested: set[int], view: View) -> list[set[int]]:
    """Return the claims and pairs of claims that no set can hold.

    Asked only where nobody can hold several citizenships: else a third claim settles some of them.
    """
    few = [set(chosen) for size in (1, 2) for chosen in combinations(contested, size)]
    return [chosen for chosen in few if agree([said[one] for one in chosen], view) is None]


def _as_stated(claim: Claim, view: View) -> Bounded:
    """Return what a claim says that contradicts itself.

    Each number is as stated, stretched to the nearest one that the rest of the claim allows: a
    total of 14 beside an exhaustive breakdown that adds up to 13 is read as 13 to 14.
    """

    def without(**stated: Any) -> Bounded | None:
        return agree([said_by(replace(claim, **stated), view)], view)

    freed = without(total=UNSTATED)
    total = _stretched(claim.total, freed.total if freed else claim.total)
    listed = claim.leaves_nobody_out and claim.foreign == UNSTATED
    other = Bounds(0, 0 if listed else total.high)
    asked, several = asked_by([said_by(claim, view)], view)
    citizenships = {}
    for name in view.names:
        least = asked[view.places[name]]
        citizenships[name] = bounds_of(least, max(least, end_of(other)))
        if name in claim.citizenships:
            freed = without(citizenships={**claim.citizenships, name: UNSTATED})
            stated = claim.citizenships[name]
            citizenships[name] = _stretched(stated, freed.citizenships[name] if freed else stated)
    held = held_with_others(several, view)
    return Bounded(total, citizenships, other, True, (claim.position,), held)


def _stretched(stated: Bounds, allowed: Bounds) -> Bounds:
    low, high = sorted((stated.low, end_of(stated)))
    return bounds_of(min(low, end_of(allowed)), max(high, allowed.low))


def _roughly(
    said: list[Said], contested: set[int], view: View, most: Numbers | None
) -> _Readings:
    """Return a reading of each contested claim, beside the claims that nothing can part it from.

    A maximal set lies within what can stand beside each of its members, and holds all of that
    which is not contested there; so the hull of these readings is never narrower than the exact.
    """
    alone = [said[index] for index in contested]
    together = []
    for own in alone:
        near = [other for other in said if most or agree([own, other], view)]
        doubtful = _contested(near, view, most)
        together.append([it for at, it in enumerate(near) if at not in doubtful or it is own])
    calm = [one for index, one in enumerate(said) if index not in contested]
    if not any(agree([*calm, one], view) for one in alone):
        together.append(calm)
    readings = [_as_stated(one.claim, view) for one in alone if agree([one], view) is None]
    readings += filter(None, [agree(chosen, view, most) for chosen in together if chosen])
    return readings, contested


def _contested(said: Sequence[Said], view: View, most: Numbers | None) -> set[int]:
    """Return the claims that may take part in a contradiction, by the strictest reading.

    On a tree of sums, a contradiction is an end of one sum against ends of sums below it, so it is
    enough to hold each end that a claim states against the strictest ends that any claim states.
    """

    def strictly(said: Sequence[Said], asked: Numbers) -> Sums:
        sums = stated_by(said, view, asked)
        if most is not None:
            shift(sums, sub, view.zeros, most)
        close(sums[1], said, ())
        return sums

    asked, _ = asked_by(said, view)
    every = strictly(said, asked)
    lows, highs = every[0][:], every[1][:]
    add_up(lows, highs, view)
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


def _clashes(own: Sums, below: Sums, every: Sums, beside: _Beside) -> bool:
    """Say whether an end in `own` is past what is stated below it, or of a sum that it is in."""
    for at, (low, high) in enumerate(zip(*own, strict=True)):
        stated, whole = low > 0, at
        if not stated and high >= ENDLESS:
            continue
        if high < below[0][at] or (stated and low > below[1][at]):
            return True
        while whole in beside and (stated or high < ENDLESS):
            whole, others_low, others_high = beside[whole]
            low, high = low + others_low, high + others_high
            if high < every[0][whole] or (stated and low > every[1][whole]):
                return True
    return False
