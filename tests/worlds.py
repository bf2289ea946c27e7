"""Every small world, one by one: the bounds of a development by looking, not by reasoning.

Takes claims and hands on what `ledger.bounds` has to answer. The numbers in the claims must be
small: a citizenship that `ENDLESS` persons can hold is taken to have no upper bound, so every
upper bound has to be below it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, product

from ledger.bounds.claims import Bounded, Bounds, Claim

LISTED = ("BY", "PL", "US")
ELSEWHERE = ("YY", "ZZ")
"""Never in a claim; a world uses one of them or the other."""
ENDLESS = 5

Held = frozenset[str]


@dataclass(frozen=True)
class World:
    """A group of persons: how many hold exactly which citizenships."""

    groups: Mapping[Held, int]
    crowded: frozenset[str]
    """Citizenships that `ENDLESS` persons hold as their only one."""
    total: int
    holders: Mapping[str, int]


@cache
def worlds(several: tuple[tuple[Held, int], ...]) -> tuple[World, ...]:
    """Return every world with exactly these persons of several citizenships."""
    found = []
    for elsewhere in ELSEWHERE:
        for counts in product(range(ENDLESS + 1), repeat=len(LISTED) + 1):
            singles = dict(zip((*LISTED, elsewhere), counts, strict=True))
            if singles[elsewhere] or elsewhere == ELSEWHERE[0]:
                found.append(world(singles, dict(several)))
    return tuple(found)


def world(singles: Mapping[str, int], several: Mapping[Held, int]) -> World:
    """Return the world of these persons."""
    groups = {frozenset({name}): number for name, number in singles.items()} | dict(several)
    groups = {held: number for held, number in groups.items() if number}
    crowded = frozenset(name for name, number in singles.items() if number == ENDLESS)
    holders = {
        name: sum(number for held, number in groups.items() if name in held)
        for name in LISTED + ELSEWHERE
    }
    return World(groups, crowded, sum(groups.values()), holders)


@cache
def allowed_by(
    total: Bounds,
    listed: frozenset[tuple[str, Bounds]],
    exhaustive: bool,
    foreign: Bounds,
    state: str | None,
    several: tuple[tuple[Held, int], ...],
) -> frozenset[int]:
    """Return which of the worlds one claim allows: every number that it states is true of them."""
    names = {name for name, _ in listed}
    counts_foreign = foreign != Bounds(0, None)

    def left_out(held: Held) -> bool:
        if counts_foreign:  # then only the state's own can be missing, where there is a state
            return held == {state} and state not in names
        return bool(names) and names.isdisjoint(held)

    def allows(world: World) -> bool:
        return (
            within(total, world.total)
            and all(within(stated, world.holders[name]) for name, stated in listed)
            and not (exhaustive and any(map(left_out, world.groups)))
            and (state is None or within(foreign, foreigners(world, state)))
        )

    return frozenset(index for index, world in enumerate(worlds(several)) if allows(world))


def foreigners(world: World, state: str) -> int:
    """Return how many hold a citizenship other than that of the state."""
    return sum(number for held, number in world.groups.items() if held - {state})


def within(stated: Bounds, number: int) -> bool:
    """Say whether the number is as stated."""
    return stated.low <= number and (stated.high is None or number <= stated.high)


def lists(claims: Iterable[Claim]) -> list[list[Held]]:
    """Return each list of persons, and the list of all persons with a key."""
    claims = list(claims)
    held_by_key: dict[str, Held] = {}
    for claim in claims:
        for person in claim.persons:
            if person.key:
                before = held_by_key.setdefault(person.key, frozenset())
                held_by_key[person.key] = before.union(person.citizenships)
    shown = []
    for claim in claims:
        named = {person.key for person in claim.persons if person.key}
        nameless = [person.citizenships for person in claim.persons if not person.key]
        shown.append([held for key, held in held_by_key.items() if key in named] + nameless)
    return [*shown, list(held_by_key.values())]


def several_on(shown: Sequence[Sequence[Held]]) -> tuple[tuple[Held, int], ...]:
    """Return the fewest persons of several citizenships that every list can be about."""
    kinds = {held for one in shown for held in one if len(held) > 1}
    fewest = {}
    for held in kinds:
        fewest[held] = 0
        while any(list(one).count(held) > fewest[held] for one in shown):
            fewest[held] += 1
    return tuple(sorted(fewest.items(), key=lambda pair: sorted(pair[0])))


def readings(shown: Sequence[Sequence[Held]]) -> list[tuple[tuple[Held, int], ...]]:
    """Return every reading of who holds several citizenships: the fewest of each kind, and what is
    left of them if persons whom no list shows beside each other are the same, and hold all."""
    persons = [held for held, number in several_on(shown) for _ in range(number)]

    def may_be_one(block: Sequence[Held]) -> bool:
        return all(
            one != other and not any(one in them and other in them for them in shown)
            for one, other in combinations(block, 2)
        )

    found = set()
    for blocks in partitions(persons):
        if all(map(may_be_one, blocks)):
            counted = Counter(frozenset[str]().union(*block) for block in blocks)
            found.add(tuple(sorted(counted.items(), key=lambda pair: sorted(pair[0]))))
    return sorted(found, key=str)


def partitions(persons: Sequence[Held]) -> Iterator[list[list[Held]]]:
    """Yield every way to put the persons into blocks."""
    if not persons:
        yield []
        return
    first, *others = persons
    for blocks in partitions(others):
        yield [[first], *blocks]
        for at, block in enumerate(blocks):
            yield [*blocks[:at], [first, *block], *blocks[at + 1 :]]


def is_open(claims: Sequence[Claim]) -> bool:
    """Say whether there are several readings of who holds several citizenships."""
    return len(readings(lists(claims))) > 1


def has_room(world: World, shown: Sequence[Held]) -> bool:
    """Say whether the world has as many persons, and holders, as are on the list."""
    names = {name for held in shown for name in held}
    return len(shown) <= world.total and all(
        sum(name in held for held in shown) <= world.holders[name] for name in names
    )


def allowed(claims: Sequence[Claim], state: str | None) -> list[World]:
    """Return the worlds that all the claims allow."""
    shown = lists(claims)
    found: list[World] = []
    for several in readings(shown):
        indexes = [
            allowed_by(
                claim.total,
                frozenset(claim.citizenships.items()),
                claim.exhaustive,
                claim.foreign,
                state,
                several,
            )
            for claim in claims
        ]
        found += [worlds(several)[index] for index in frozenset.intersection(*indexes)]
    return [world for world in found if all(has_room(world, one) for one in shown)]


def mentioned(claims: Iterable[Claim], state: str | None) -> list[str]:
    """Return the citizenships that the claims say something about."""
    names: set[str] = set()
    for claim in claims:
        names |= set(claim.citizenships)
        names |= {name for person in claim.persons for name in person.citizenships}
        if state and (claim.foreign.low or claim.foreign.high is not None):
            names.add(state)
    return sorted(names)


def reach(found: Sequence[World], names: Iterable[str]) -> Bounded:
    """Return how far the counts reach over the worlds."""

    def span(name: str) -> Bounds:
        numbers = [world.holders[name] for world in found]
        endless = any(name in world.crowded for world in found)
        return Bounds(min(numbers), None if endless else max(numbers))

    totals = [world.total for world in found]
    endless = any(world.crowded for world in found)
    total = Bounds(min(totals), None if endless else max(totals))
    return Bounded(total, {name: span(name) for name in names}, span("ZZ"), False, ())


def bound_by_looking(claims: Sequence[Claim], state: str | None) -> Bounded:
    """Return the bounds of the claims: over the worlds, or around the maximal sets of claims."""
    names = mentioned(claims, state)
    agreed = {
        chosen: found
        for chosen in subsets(len(claims))
        if (found := allowed([claims[index] for index in chosen], state))
    }
    everyone = frozenset(range(len(claims)))
    if everyone in agreed:
        return reach(agreed[everyone], names)
    maximal = [chosen for chosen in agreed if not any(chosen < other for other in agreed)]
    readings = [reach(agreed[chosen], names) for chosen in maximal]
    for index in everyone.difference(*maximal):
        readings.append(as_stated(claims[index], names, state))
    in_all = everyone.intersection(*maximal) if maximal else frozenset()
    positions = sorted(claims[index].position for index in everyone - in_all)
    return around(readings, names, tuple(positions))


def fewest_alone(claims: Sequence[Claim], name: str, state: str | None) -> int:
    """Return how many persons hold the citizenship and no other, at least."""
    alone = frozenset({name})
    return min(world.groups.get(alone, 0) for world in allowed(claims, state))


def minimal_contradictions(claims: Sequence[Claim], state: str | None) -> list[frozenset[int]]:
    """Return the sets of claims, by index, that hold as soon as any one claim is left out."""
    broken = [
        chosen
        for chosen in subsets(len(claims))
        if not allowed([claims[index] for index in chosen], state)
    ]
    return [chosen for chosen in broken if not any(other < chosen for other in broken)]


def subsets(number: int) -> Iterator[frozenset[int]]:
    """Yield every set of indexes but the empty one."""
    for size in range(1, number + 1):
        yield from map(frozenset, combinations(range(number), size))


def as_stated(claim: Claim, names: Iterable[str], state: str | None) -> Bounded:
    """Return the numbers of a claim that contradicts itself, each stretched to the others."""
    freed = allowed([replace(claim, total=Bounds(0, None))], state)
    total = stretch(claim.total, reach(freed, []).total if freed else None)
    closed = claim.exhaustive and claim.citizenships and claim.foreign == Bounds(0, None)
    other = Bounds(0, 0) if closed else Bounds(0, total.high)
    shown = lists([claim])
    spans = {}
    for name in names:
        if name in claim.citizenships:
            rest = {**claim.citizenships, name: Bounds(0, None)}
            freed = allowed([replace(claim, citizenships=rest)], state)
            spans[name] = stretch(
                claim.citizenships[name], reach(freed, [name]).citizenships[name] if freed else None
            )
        else:
            number = max(sum(name in held for held in one) for one in shown)
            spans[name] = Bounds(number, None if other.high is None else max(number, other.high))
    return Bounded(total, spans, other, True, ())


def stretch(stated: Bounds, allowed: Bounds | None) -> Bounds:
    """Return what was stated, made wide enough to touch what the rest allows."""
    if stated.high is None:
        ends = Bounds(stated.low, None)
    else:
        ends = Bounds(min(stated.low, stated.high), max(stated.low, stated.high))
    if allowed is None:
        return ends
    if ends.high is not None and ends.high < allowed.low:
        return Bounds(ends.low, allowed.low)
    if allowed.high is not None and allowed.high < ends.low:
        return Bounds(allowed.high, ends.high)
    return ends


def around(
    readings: Sequence[Bounded], names: Iterable[str], positions: tuple[int, ...]
) -> Bounded:
    """Return the hull of the readings."""

    def hull(spans: Sequence[Bounds]) -> Bounds:
        highs = [span.high for span in spans]
        low = min(span.low for span in spans)
        return Bounds(low, None if None in highs else max(high or 0 for high in highs))

    return Bounded(
        hull([reading.total for reading in readings]),
        {name: hull([reading.citizenships[name] for reading in readings]) for name in names},
        hull([reading.other for reading in readings]),
        True,
        positions,
    )
