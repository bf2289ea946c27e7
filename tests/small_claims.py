"""Small reports of any kind, contradictions and crossed bounds included, for property tests."""

from collections.abc import Iterable
from dataclasses import replace

import worlds
from hypothesis import strategies as st

from ledger.bounds.claims import UNSTATED, Bounds, Claim, Person

numbers = st.sampled_from([0, 0, 1, 1, 2])
stated = st.one_of(
    st.builds(lambda number: Bounds(number, number), numbers),
    st.builds(lambda number: Bounds(number, None), numbers),
    st.builds(Bounds, numbers, st.integers(0, 2)),
)
totals = st.one_of(
    st.just(UNSTATED),
    st.builds(lambda number: Bounds(number, number), st.integers(0, 4)),
    st.builds(Bounds, st.integers(0, 4), st.one_of(st.none(), st.integers(0, 4))),
)
names = st.sampled_from(worlds.LISTED)
people = st.builds(Person, st.sampled_from(["a", "b", None]), st.frozensets(names, max_size=2))
plain_claims = st.builds(
    Claim,
    st.just(0),
    totals,
    st.dictionaries(names, stated, max_size=3),
    st.sampled_from([False, False, True]),
    st.one_of(st.just(UNSTATED), stated),
)
claims_with_lists = st.builds(
    lambda claim, persons: replace(claim, persons=persons),
    plain_claims,
    st.one_of(st.just(()), st.lists(people, max_size=2).map(tuple)),
)
states = st.sampled_from([None, "BY", "US"])


def numbered(claims: Iterable[Claim]) -> list[Claim]:
    """Return the claims at the positions 1, 2, 3 and so on."""
    return [replace(claim, position=place) for place, claim in enumerate(claims, 1)]


some_claims = st.lists(claims_with_lists, min_size=1, max_size=3).map(numbered)
some_plain_claims = st.lists(plain_claims, min_size=1, max_size=3).map(numbered)
