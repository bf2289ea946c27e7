"""Bounds of one development: what reports say, against what a look at every small world shows."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import permutations

import pytest
import worlds
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from small_claims import claims_with_lists, plain_claims, some_claims, some_plain_claims, states

from ledger.bounds import bounding
from ledger.bounds.bounding import bound
from ledger.bounds.claims import UNSTATED, Bounded, Bounds, Claim, Person

Span = tuple[int, int | None]

SOME = Bounds(1, None)
FIVE = dict.fromkeys(["AU", "GB", "LT", "PL", "US"], SOME)


def exactly(**numbers: int) -> dict[str, Bounds]:
    """Return a breakdown of exact numbers."""
    return {name: Bounds(number, number) for name, number in numbers.items()}


def listed(*persons: tuple[str | None, str]) -> tuple[Person, ...]:
    """Return persons from their keys and their citizenships, parted by spaces."""
    return tuple(Person(key, frozenset(held.split())) for key, held in persons)


def spans(answer: Bounded) -> dict[str, Span]:
    """Return every interval of an answer by its name."""
    named = {"total": answer.total, **answer.citizenships, "other": answer.other}
    return {name: (each.low, each.high) for name, each in named.items()}


def same(names: Iterable[str], span: Span) -> dict[str, Span]:
    """Return one span under many names."""
    return dict.fromkeys(names, span)


EMBASSY = Claim(1, Bounds(123, 123), FIVE)
UKRAINE = Claim(2, UNSTATED, exactly(UA=5))
NONSENSE = Claim(3, Bounds(123, 123), exactly(US=123))
FOREIGNERS = Claim(4, UNSTATED, {}, foreign=Bounds(13, 13))
BELARUS_SAYS = Claim(
    1, Bounds(14, 14), {**exactly(JP=2, PL=3, LV=2), "EE": SOME, "SE": SOME, "US": SOME}
)
LITHUANIA_SAYS = Claim(2, Bounds(14, 14), exactly(BY=5, PL=3, LV=2, JP=2, EE=1, SE=1))
WITH_TWO_PASSPORTS = Claim(3, UNSTATED, {}, persons=listed(("person/1", "BY US")))
JUNE = {"total": (14, 14), **same(["JP", "LV"], (2, 2)), "PL": (3, 3)}

AGREED: Mapping[str, tuple[list[Claim], dict[str, Span]]] = {
    "nothing is said": ([], {"total": (0, None), "other": (0, None)}),
    "five are among 123": (
        [EMBASSY],
        {"total": (123, 123), **same(FIVE, (1, 119)), "other": (0, 118)},
    ),
    "five of the 123 are Ukrainians": (
        [EMBASSY, UKRAINE],
        {"total": (123, 123), **same(FIVE, (1, 114)), "UA": (5, 5), "other": (0, 113)},
    ),
    "13 of the 123 are foreigners": (
        [EMBASSY, UKRAINE, FOREIGNERS],
        {
            "total": (123, 123),
            **same(FIVE, (1, 4)),
            "BY": (110, 110),
            "UA": (5, 5),
            "other": (0, 3),
        },
    ),
    "an exhaustive breakdown adds up": (
        [Claim(1, UNSTATED, exactly(BY=104, UA=5), exhaustive=True)],
        {"total": (109, 109), "BY": (104, 104), "UA": (5, 5), "other": (0, 0)},
    ),
    "114 Belarusians and 9 foreigners, and nobody else": (
        [Claim(1, UNSTATED, exactly(BY=114), exhaustive=True, foreign=Bounds(9, 9))],
        {"total": (123, 123), "BY": (114, 114), "other": (0, 9)},
    ),
    "foreigners, of whom 3 Poles, and nobody else": (
        [Claim(1, UNSTATED, exactly(PL=3), exhaustive=True, foreign=Bounds(9, 9))],
        {"total": (9, 9), "BY": (0, 0), "PL": (3, 3), "other": (0, 6)},
    ),
    "exhaustive without a breakdown says nothing": (
        [Claim(1, Bounds(3, 3), {}, exhaustive=True)],
        {"total": (3, 3), "other": (0, 3)},
    ),
    "one who is listed with two citizenships counts once, and under each": (
        [Claim(1, Bounds(2, 2), exactly(BY=2), persons=listed(("a", "BY US")))],
        {"total": (2, 2), "BY": (2, 2), "US": (1, 1), "other": (0, 0)},
    ),
    "further citizenships of a person add up": (
        [
            Claim(1, Bounds(1, 1), {}, persons=listed(("a", "BY"))),
            Claim(2, UNSTATED, {}, persons=listed(("a", "US"))),
        ],
        {"total": (1, 1), "BY": (1, 1), "US": (1, 1), "other": (0, 0)},
    ),
    "persons with a key are told apart across reports": (
        [
            Claim(1, UNSTATED, {}, persons=listed(("a", "BY"), ("b", ""))),
            Claim(2, UNSTATED, {}, persons=listed(("a", "BY"), ("c", "BY"))),
        ],
        {"total": (3, None), "BY": (2, None), "other": (0, None)},
    ),
    "persons without a key are told apart within a report only": (
        [
            Claim(1, UNSTATED, {}, persons=listed((None, "BY"), (None, "BY"))),
            Claim(2, UNSTATED, {}, persons=listed((None, "BY"), (None, ""), ("c", "PL"))),
        ],
        {"total": (3, None), "BY": (2, None), "PL": (1, None), "other": (0, None)},
    ),
    "a dual citizen settles what two reports contradict": (
        [BELARUS_SAYS, LITHUANIA_SAYS, WITH_TWO_PASSPORTS],
        {**JUNE, "BY": (5, 5), **same(["EE", "SE", "US"], (1, 1)), "other": (0, 0)},
    ),
}

DISPUTED: Mapping[str, tuple[list[Claim], dict[str, Span], tuple[int, ...]]] = {
    "123 Americans against five citizenships": (
        [EMBASSY, NONSENSE],
        {
            "total": (123, 123),
            **same(["AU", "GB", "LT", "PL"], (0, 119)),
            "US": (1, 123),
            "other": (0, 118),
        },
        (1, 3),
    ),
    "the same against a report that also rules it out": (
        [EMBASSY, UKRAINE, NONSENSE],
        {
            "total": (123, 123),
            **same(["AU", "GB", "LT", "PL"], (0, 114)),
            "UA": (0, 5),
            "US": (1, 123),
            "other": (0, 113),
        },
        (1, 2, 3),
    ),
    "14 with and 14 without an American": (
        [BELARUS_SAYS, LITHUANIA_SAYS],
        {**JUNE, **same(["BY", "US"], (0, 5)), **same(["EE", "SE"], (1, 5)), "other": (0, 4)},
        (1, 2),
    ),
    "a report that all can stand beside is not named": (
        [Claim(1, Bounds(3, 3), {}), Claim(2, Bounds(5, 5), {}), Claim(3, UNSTATED, {"BY": SOME})],
        {"total": (3, 5), "BY": (1, 5), "other": (0, 4)},
        (1, 2),
    ),
    "both of two identical reports are named": (
        [Claim(1, Bounds(3, 3), {}), Claim(2, Bounds(3, 3), {}), Claim(7, Bounds(5, 5), {})],
        {"total": (3, 5), "other": (0, 5)},
        (1, 2, 7),
    ),
    "a breakdown of nine in a total of three": (
        [Claim(1, Bounds(3, 3), exactly(BY=5, US=4))],
        {"total": (3, 9), "BY": (5, 5), "US": (4, 4), "other": (0, 9)},
        (1,),
    ),
    "an exhaustive breakdown of 13 in a total of 14": (
        [Claim(1, Bounds(14, 14), exactly(BY=6, US=7), exhaustive=True)],
        {"total": (13, 14), "BY": (6, 7), "US": (7, 8), "other": (0, 0)},
        (1,),
    ),
    "three in total, five on the list": (
        [Claim(1, Bounds(3, 3), {}, persons=listed(*((key, "BY") for key in "abcde")))],
        {"total": (3, 5), "BY": (5, 5), "other": (0, 5)},
        (1,),
    ),
    "a lowest number above the highest": (
        [Claim(1, Bounds(9, 7), {"BY": Bounds(3, 2)})],
        {"total": (7, 9), "BY": (2, 3), "other": (0, 9)},
        (1,),
    ),
    "a report that contradicts itself does not drag the others in": (
        [Claim(1, Bounds(3, 3), exactly(BY=5)), Claim(2, Bounds(4, 4), {})],
        {"total": (3, 5), "BY": (0, 5), "other": (0, 5)},
        (1,),
    ),
}


@pytest.mark.parametrize("case", AGREED)
def test_agreeing_claims_bind_each_other(case: str) -> None:
    """Claims that can all hold give the intersection of what they allow."""
    claims, expected = AGREED[case]

    answer = bound(claims, "BY")

    assert (expected, False, ()) == (spans(answer), answer.disputed, answer.positions)


@pytest.mark.parametrize("case", DISPUTED)
def test_contradicting_claims_give_the_hull(case: str) -> None:
    """Claims that cannot all hold give the hull of what can, and the positions that disagree."""
    claims, expected, positions = DISPUTED[case]

    answer = bound(claims, "BY")

    assert (expected, True, positions) == (spans(answer), answer.disputed, answer.positions)


def test_foreigners_of_no_state_say_nothing() -> None:
    """Without a state, the number of foreigners changes no bound."""
    assert bound([EMBASSY], None) == bound([EMBASSY, FOREIGNERS], None)


def test_a_second_passport_loosens_the_assumption() -> None:
    """A report that lists a dual citizen can agree with another one and still widen a bound."""
    without, beside = bound([BELARUS_SAYS], "BY"), bound([BELARUS_SAYS, WITH_TWO_PASSPORTS], "BY")

    assert Bounds(0, 4) == without.other
    assert Bounds(1, 5) == beside.citizenships["BY"]


def test_many_reports_against_one() -> None:
    """One mistaken report among more than are looked at exactly costs no more than it must."""
    partial = [Claim(place, UNSTATED, {f"X{place}": SOME}) for place in range(10, 40)]

    answer = bound([EMBASSY, *partial, NONSENSE], "BY")

    assert Bounds(123, 123) == answer.total
    assert Bounds(1, 123) == answer.citizenships["US"]
    assert Bounds(0, 123 - 4 - 30) == answer.citizenships["X10"]
    assert (1, 3, *range(10, 40)) == answer.positions


def test_many_reports_against_each_other() -> None:
    """A hundred totals that all differ are answered with the hull."""
    answer = bound([Claim(number, Bounds(number, number), {}) for number in range(1, 101)], None)

    assert Bounds(1, 100) == answer.total
    assert tuple(range(1, 101)) == answer.positions


def covers(wide: Bounds, narrow: Bounds) -> bool:
    """Say whether no number is within the second and outside the first."""
    if wide.high is None:
        return wide.low <= narrow.low
    return wide.low <= narrow.low and narrow.high is not None and narrow.high <= wide.high


def answer_covers(wide: Bounded, narrow: Bounded) -> bool:
    """Say whether the second answer is nowhere wider; what the first does not list is `other`."""
    return (
        covers(wide.total, narrow.total)
        and covers(wide.other, narrow.other)
        and all(
            covers(wide.citizenships.get(name, wide.other), each)
            for name, each in narrow.citizenships.items()
        )
    )


@given(some_claims, states)
@example(
    [
        Claim(1, UNSTATED, exactly(BY=0)),
        Claim(2, UNSTATED, exactly(BY=1), exhaustive=True, persons=listed(("a", "PL BY"))),
        Claim(3, Bounds(2, 2), {}, persons=listed((None, "US BY"))),
    ],
    None,
)
@settings(max_examples=400)
def test_bounds_are_those_of_all_small_worlds(claims: list[Claim], state: str | None) -> None:
    """Total, citizenships, other, dispute and positions are what a look at every world shows; and
    no narrower where two lists may show the same person of several citizenships or not."""
    answer = bound(claims, state)
    exact = worlds.bound_by_looking(claims, state)

    if not worlds.is_open(claims):
        assert exact == answer
    elif exact.disputed == answer.disputed:
        assert answer_covers(answer, exact)
    else:
        assert exact.disputed
    assert sorted(answer.citizenships) == list(answer.citizenships)


@given(some_plain_claims, states)
@settings(max_examples=150)
def test_positions_are_those_of_minimal_contradictions(
    claims: list[Claim], state: str | None
) -> None:
    """Without lists of persons, a claim is named when it is in a minimal contradiction."""
    minimal = worlds.minimal_contradictions(claims, state)

    expected = sorted({claims[index].position for chosen in minimal for index in chosen})

    assert tuple(expected) == bound(claims, state).positions


@given(some_claims, states)
# The only contested claim contradicts itself, so the uncontested one stands alone.
@example([Claim(1, Bounds(9, 7), {}), Claim(2, UNSTATED, {"BY": SOME})], None)
def test_bounds_of_many_claims_are_never_too_narrow(claims: list[Claim], state: str | None) -> None:
    """Where not every subset is looked at, the bounds cover the exact ones, and so do positions."""
    exact = bound(claims, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounding, "EXACT_UP_TO", 0)
        rough = bound(claims, state)

    assert answer_covers(rough, exact)
    assert exact.disputed == rough.disputed
    assert set(exact.positions) <= set(rough.positions)


@given(some_claims, states, st.data())
def test_a_repeated_claim_changes_nothing(
    claims: list[Claim], state: str | None, data: st.DataObject
) -> None:
    """What is reported again changes no bound, and is named where the first report is."""
    repeated = data.draw(st.sampled_from(claims))
    before = bound(claims, state)

    after = bound([*claims, replace(repeated, position=9)], state)

    both = {*before.positions, 9} if repeated.position in before.positions else {*before.positions}
    assert replace(before, positions=tuple(sorted(both))) == after


@given(some_claims, plain_claims, states)
@settings(max_examples=200)
def test_a_claim_that_agrees_with_all_only_narrows(
    claims: list[Claim], further: Claim, state: str | None
) -> None:
    """A further claim that can stand beside every maximal set of claims never widens a bound."""
    can_hold = [
        chosen
        for chosen in worlds.subsets(len(claims))
        if not bound([claims[index] for index in chosen], state).disputed
    ]
    maximal = [chosen for chosen in can_hold if not any(chosen < other for other in can_hold)]
    assume(maximal)
    for chosen in maximal:
        assume(not bound([*(claims[index] for index in chosen), further], state).disputed)

    assert answer_covers(bound(claims, state), bound([*claims, further], state))


@given(some_claims, claims_with_lists, states)
def test_a_claim_that_is_gone_leaves_no_trace(
    claims: list[Claim], further: Claim, state: str | None
) -> None:
    """Bounds without a claim are the same before it was ever seen and after it is gone."""
    before = bound(claims, state)
    bound([*claims, further], state)

    assert before == bound(claims, state)


@given(some_claims, states)
def test_order_does_not_matter(claims: list[Claim], state: str | None) -> None:
    """The order in which claims are given changes nothing."""
    answers = [bound(order, state) for order in permutations(claims)]

    assert answers == [answers[0]] * len(answers)
