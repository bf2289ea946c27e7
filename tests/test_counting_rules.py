"""What an answer counts: releases or persons, gross or net, under each citizenship or one."""

from dataclasses import replace
from functools import reduce
from itertools import combinations, product
from operator import or_
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from recording import SOURCE, answered, bounds_of, recorded, release
from small_claims import some_claims, states
from worlds import allowed, fewest_alone, is_open, subsets

from ledger.answers.answer import Answer
from ledger.answers.explaining import explain_releases
from ledger.answers.releases import releases
from ledger.bounds.bounding import bound
from ledger.bounds.claims import Bounds, Claim
from ledger.cli.main import ledger
from ledger.errors import BadValue
from ledger.projections.release_counts import added
from ledger.projections.release_list import Release, Rule, Undone, less
from ledger.projections.release_totals import Scope
from ledger.store.connect import reading


@given(some_claims, states)
@settings(max_examples=60)
def test_who_holds_one_citizenship_only(claims: list[Claim], state: str | None) -> None:
    """The low of a citizenship, less those who hold another one, too, is how many hold it alone at
    least in any small world of any of the claims that can hold together."""
    answer = bound(claims, state)

    agreed = [one for one in subsets(len(claims)) if allowed([claims[i] for i in one], state)]
    for chosen in agreed:
        if not any(chosen < other for other in agreed):
            together = [claims[index] for index in sorted(chosen)]
            for name, bounds in answer.citizenships.items():
                low = max(0, bounds.low - answer.several.get(name, 0))
                fewest = fewest_alone(together, name, state)
                assert low <= fewest
                assert low == fewest or answer.disputed or is_open(claims)


AU, GB = "AU", "GB"
HELD = {"a": {AU}, "b": {GB}, "c": {AU, GB}, "d": {AU}, "e": {AU}, "f": {GB}, "g": {GB}}
"""Whoever may be freed, with what they hold; a, b and c have a key."""
KEYS = ("a", "b", "c")
Group = frozenset[str]


@st.composite
def made(draw: Any) -> Release:
    """Return a release of some of those persons, as its bounds may show it: each at or about what
    is so, and keys of those who are among them."""
    freed = draw(st.frozensets(st.sampled_from(sorted(HELD)), max_size=3))
    named = draw(st.frozensets(st.sampled_from(KEYS))) & freed
    low, high = about(draw, len(freed))
    cells, alone = {}, {}
    for code in (AU, GB):
        holders = [one for one in freed if code in HELD[one]]
        cells[code] = Bounds(*about(draw, len(holders)))
        only = sum(len(HELD[one]) == 1 for one in holders)
        alone[code] = draw(st.integers(0, only))
    persons = {one: frozenset(HELD[one]) for one in named}
    return Release("r", "BY", None, None, Bounds(low, high), None, False, True, cells, alone,
                   persons, persons.keys())


def about(draw: Any, number: int) -> tuple[int, int]:
    """Return bounds of a number."""
    return draw(st.integers(max(0, number - 1), number)), draw(st.integers(number, number + 1))


def groups(one: Release) -> list[Group]:
    """Return everybody who may have been freed, as sets of persons."""
    return [
        frozenset(chosen)
        for size in range(len(HELD) + 1)
        for chosen in combinations(HELD, size)
        if set(one.persons) <= set(chosen) and within(one.total, size)
        and all(
            within(one.cells[code], sum(code in HELD[who] for who in chosen))
            and sum(HELD[who] == {code} for who in chosen) >= one.alone[code]
            for code in (AU, GB)
        )
    ]


def within(bounds: Bounds, number: int) -> bool:
    """Say whether the number is within the bounds."""
    return bounds.low <= number and (bounds.high is None or number <= bounds.high)


@given(st.lists(made(), min_size=1, max_size=2), st.booleans())
@settings(max_examples=60)
def test_persons_are_as_few_and_as_many_as_may_be(chain: list[Release], one: bool) -> None:
    """However the persons of several releases are the same or not, the bounds have room for how
    many they are, in all and under each citizenship."""
    rule = Rule(persons=True, one=one)
    whole = added_up(chain, "state", rule)
    under = added_up(chain, "citizenship", rule)
    every = [reduce(or_, chosen) for chosen in product(*map(groups, chain))]

    for persons in every:
        assert whole["BY"][0] <= len(persons) <= whole["BY"][1]
        for code in (AU, GB):
            holders = [who for who in persons if code in HELD[who]]
            only = [who for who in holders if len(HELD[who]) == 1]
            assert under[code][0] <= len(only if one else holders)
            assert len(holders) <= under[code][1]


def added_up(chain: list[Release], by: str, rule: Rule) -> dict[str | None, tuple[int, int]]:
    """Return low and high of the sums by what they are about."""
    return {row.key: (row.low, row.high or 0) for row in added(chain, by, Scope(), rule)}


@given(made(), made(), st.sampled_from([None, 3]), st.data())
@settings(max_examples=80)
def test_what_may_be_undone_is_off_the_low_and_what_surely_was_off_the_high(
    done: Release, back: Release, until: int | None, data: st.DataObject
) -> None:
    """Net of those who were taken back by a day: as few and as many are left as may be, in all and
    under each citizenship."""
    first, last = sorted([data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))])
    undone = Undone(str(first), str(last), back.total, None, back.cells)
    net = less(replace(done, undone=undone), None if until is None else str(until))

    for day in range(first, last + 1):
        by_then = until is None or day <= until
        for freed, taken in product(groups(done), groups(back)):
            if taken <= freed:
                left = freed - taken if by_then else freed
                assert within(net.total, len(left))
                for code in (AU, GB):
                    holders = [who for who in left if code in HELD[who]]
                    assert within(net.cells[code], len(holders))
                    assert net.alone[code] <= sum(len(HELD[who]) == 1 for who in holders)


PEOPLE = "[{person: p-a, citizenships: [Poland]}, {person: p-b, citizenships: [Poland, Belarus]}]"
RELEASES = (
    release("r1", when="2025-11-01", total=5, citizenships="{Poland: 2}", persons=PEOPLE)
    + release("r2", when="2025-12-01", total=4, citizenships="{Ukraine: 1}", persons=PEOPLE)
    + release("r2", stage="reversed", when="2025-12-20/2026-01-10", total=1)
)


@pytest.fixture
def two(engine: sa.Engine) -> sa.Engine:
    """A ledger with two releases that have two persons in common, one of them undone in part."""
    recorded(engine, RELEASES)
    answered(engine)
    return engine


def asked(engine: sa.Engine, **question: Any) -> Answer:
    """Return the answer, without a rebuild."""
    with reading(engine) as connection:
        return releases(connection, **question)


Expected = tuple[tuple[int, int], dict[str, tuple[int, int]]]
CHOSEN: dict[str, tuple[dict[str, Any], Expected]] = {
    "the usual rule": ({}, (
        (9, 9), {"PL": (4, 5), "BY": (2, 6), "UA": (1, 4)},
    )),
    "persons: the two are the same, the others may be": ({"count": "persons"}, (
        (5, 7), {"PL": (2, 3), "BY": (1, 5), "UA": (1, 4)},
    )),
    "net: one of the four is back": ({"reversals": "net"}, (
        (8, 8), {"PL": (3, 5), "BY": (1, 6), "UA": (0, 4)},
    )),
    "net by a day on which that is not sure": (
        {"reversals": "net", "valid_at": "2025-12-31"},
        ((8, 9), {"PL": (3, 5), "BY": (1, 6), "UA": (0, 4)}),
    ),
    "net by a day before": ({"reversals": "net", "until": "2025-12-19"}, (
        (9, 9), {"PL": (4, 5), "BY": (2, 6), "UA": (1, 4)},
    )),
    "one citizenship: the person of two may count under the other": ({"citizenships": "one"}, (
        (9, 9), {"PL": (2, 5), "BY": (0, 6), "UA": (1, 4)},
    )),
}


@pytest.mark.parametrize("chosen", CHOSEN)
def test_what_is_counted_is_chosen(two: sa.Engine, chosen: str) -> None:
    """The rule of counting is a parameter: each part of it by itself, on one history."""
    question, (total, under) = CHOSEN[chosen]

    answer = asked(two, **question)

    assert (answer.total["low"], answer.total["high"]) == total
    assert bounds_of(answer) == under


def test_the_rule_is_named(two: sa.Engine) -> None:
    """An answer says how it counted, in its scope what was chosen, and who is counted once."""
    usual = asked(two)
    assert {"count", "reversals", "citizenships"}.isdisjoint(usual.scope)
    assert "freed_again" not in usual.further

    answer = asked(two, count="persons", reversals="gross", citizenships="one")

    assert (answer.scope["count"], answer.scope["citizenships"]) == ("persons", "one")
    assert "reversals" not in answer.scope
    assert answer.counting != usual.counting
    assert answer.counting.startswith("persons, not releases")
    assert answer.further["freed_again"] == [
        {"person": f"person/{key}", "developments": ["development/r1", "development/r2"]}
        for key in ("p-a", "p-b")
    ]


def test_net_by_day_goes_down_again(two: sa.Engine) -> None:
    """The running total loses its low when a release may be undone, its high when it is."""
    rows = asked(two, by="day", reversals="net", state="BY").rows
    assert [(row["day"], row["low"], row["high"]) for row in rows] == [
        ("2025-11-01", 5, 5), ("2025-12-01", 9, 9), ("2025-12-20", 8, 9), ("2026-01-10", 8, 8),
    ]


def test_an_explanation_by_the_same_rule(two: sa.Engine) -> None:
    """What is left of a release stands beside what was done and what was undone."""
    with reading(two) as connection:
        chain = explain_releases(connection, reversals="net", valid_at="2025-12-31")
    assert (chain.total.low, chain.total.high) == (8, 9)
    second = chain.contributions[1]
    assert (second.low, second.high) == (3, 4)
    assert [(one.stage, one.low, one.high) for one in second.reports] == [
        ("done", 4, 4), ("reversed", 1, 1),
    ]


@pytest.mark.parametrize("wrong", [
    {"count": "people"}, {"reversals": "none"}, {"citizenships": "two"},
    {"reversals": "net", "stage": "ordered"},
])
def test_what_is_no_rule(two: sa.Engine, wrong: dict[str, Any]) -> None:
    """A rule that is none, and a net of what was not done, are refused."""
    with pytest.raises(BadValue):
        asked(two, **wrong)
    if "count" not in wrong:
        with reading(two) as connection, pytest.raises(BadValue):
            explain_releases(connection, **wrong)


def test_a_reversal_before_the_release_undoes_something_else(engine: sa.Engine) -> None:
    """What surely was taken back before does not take off what was freed after."""
    recorded(engine, release("r1", when="2025-12-01", total=5)
             + release("r1", stage="reversed", when="2025-11-01", total=2))
    answered(engine)
    assert asked(engine, reversals="net").total["low"] == 5


def test_merged_developments_are_undone_once(engine: sa.Engine) -> None:
    """Of two developments that are one, each reversal binds the other: as many as both allow."""
    recorded(
        engine,
        release("r1", total=9) + release("r1", stage="reversed", total="at most 3")
        + release("r2", total=9) + release("r2", stage="reversed", total="at least 2")
        + "- {kind: DevelopmentsMerged, development: r2, same_as: r1, reason: x}",
    )
    answered(engine)
    answer = asked(engine, reversals="net")
    assert (answer.total["low"], answer.total["high"]) == (6, 7)


def test_what_was_undone_may_be_disputed(engine: sa.Engine) -> None:
    """Reports that contradict each other on what was undone make the net number disputed."""
    recorded(engine, release("r1", total=9) + release("r1", stage="reversed", total=2)
             + release("r1", stage="reversed", total=4))
    answered(engine)
    answer = asked(engine, reversals="net")
    assert (answer.total["low"], answer.total["high"], answer.total["disputed"]) == (5, 7, True)
    assert answer.disputes == [{"development": "development/r1", "positions": [2, 3]}]
    assert not asked(engine).disputes


def test_the_command_takes_the_rule(database: str) -> None:
    """`--count`, `--reversals` and `--citizenships` choose; the table names who is freed again."""
    runner = CliRunner(env={"LEDGER_DATABASE_URL": database})

    def run(*arguments: str, given: str | None = None) -> str:
        result = runner.invoke(ledger, arguments, input=given)
        assert result.exit_code == 0, result.output
        return result.stdout

    run("record", "-", given=RELEASES)
    run("projections", "rebuild")
    table = run("answer", "releases", "--count", "persons", "--reversals", "net")
    assert "count persons, reversals net" in table
    again = run("answer", "releases", "--count", "persons")
    assert "Freed more than once: person/p-a, in r1, r2." in again
    explained = run("explain", "releases", "--reversals", "net", "--citizenship", "BY",
                    "--citizenships", "one")
    assert "undone: " in explained
    assert "Sum: 0 to 6." in explained



def test_two_keys_of_one_person_count_once(two: sa.Engine) -> None:
    """Persons that are merged are one, where persons are counted; no other number changes."""
    before = asked(two)
    recorded(two, "".join(
        f"- {{kind: PersonIdentified, person: {key}, name: A. Name, provenance: {SOURCE}}}\n"
        for key in ("p-a", "p-b")
    ) + "- {kind: PersonsMerged, person: p-b, same_as: p-a, reason: one passport}\n")
    answered(two)

    assert (asked(two).rows, asked(two).total) == (before.rows, before.total)
    answer = asked(two, count="persons")
    assert [one["person"] for one in answer.further["freed_again"]] == ["person/p-a"]
    assert (answer.total["low"], answer.total["high"]) == (4, 8)
    assert bounds_of(answer)["PL"] == (1, 4)
    now_and_then = asked(two, count="persons", as_of=3)
    assert (now_and_then.total["low"], now_and_then.total["high"]) == (5, 7)
