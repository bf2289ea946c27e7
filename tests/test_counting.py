"""Who is counted where: foreigners, the stateless, the unknown, and persons on two lists."""

from collections.abc import Mapping, Sequence

import pytest
import sqlalchemy as sa
from recording import answered, bounds_of, recorded, release

from ledger.bounds.bounding import bound
from ledger.bounds.claims import UNSTATED, Bounded, Bounds, Claim, Person

Span = tuple[int, int | None]


def citizenships(shares: str, total: int | None = None, exhaustive: str = "false") -> str:
    """Return one report of a release by Belarus: its breakdown and, if stated, its total."""
    report = release(citizenships=shares, exhaustive=exhaustive)
    return report if total is None else f"{report}  total: {total}\n"


OWN: Mapping[str, tuple[str, Span, Span]] = {
    "a complete list with the stateless adds up": (
        citizenships("{Belarus: 114, foreign: 9, stateless: 3}", exhaustive="true"),
        (126, 126), (114, 114),
    ),
    "and agrees with its total": (
        citizenships("{Belarus: 114, foreign: 9, stateless: 3}", 126, "true"),
        (126, 126), (114, 114),
    ),
    "the stateless are neither foreign nor the state's own": (
        citizenships("{foreign: 9, stateless: 3}", 126), (126, 126), (114, 114),
    ),
    "whoever is unknown may be the state's own or foreign": (
        citizenships("{foreign: 9, unknown: 3}", 126), (126, 126), (114, 117),
    ),
    "a list with unknown ones agrees with its total": (
        citizenships("{Belarus: 114, foreign: 9, unknown: 3}", 126, "true"),
        (126, 126), (114, 114),
    ),
    "the unknown come on top of all who are listed": (
        citizenships("{Belarus: 3, Poland: 4, unknown: 2}"), (9, None), (3, 3),
    ),
    "and nobody else in a complete list": (
        citizenships("{Belarus: 3, Poland: 4, unknown: 2}", exhaustive="true"), (9, 9), (3, 3),
    ),
    "nor in one that counts the foreign": (
        citizenships("{Belarus: 3, foreign: 4, unknown: 2}", exhaustive="true"), (9, 9), (3, 3),
    ),
    "the unknown come on top of the foreign": (
        citizenships("{foreign: 9, unknown: 3}"), (12, None), (0, None),
    ),
    "nobody else is the state's own": (
        citizenships("{foreign: 9}", 126), (126, 126), (117, 117),
    ),
}


@pytest.mark.parametrize(("report", "total", "own"), OWN.values(), ids=OWN)
def test_foreigners_and_the_others(
    engine: sa.Engine, report: str, total: Span, own: Span
) -> None:
    """Foreigners hold another state's citizenship; the stateless hold none, the unknown may."""
    recorded(engine, report)

    answer = answered(engine)

    assert (answer.total["low"], answer.total["high"]) == total
    assert not answer.disputes
    assert bounds_of(answer)["BY"] == own


def test_unknown_ones_for_whom_there_is_no_room(engine: sa.Engine) -> None:
    """Three, four and two unknown ones are not seven."""
    recorded(engine, citizenships("{Belarus: 3, Poland: 4, unknown: 2}", 7))

    answer = answered(engine)

    assert answer.disputes == [{"development": "development/by-release", "positions": [1]}]
    assert (answer.total["low"], answer.total["high"]) == (7, 9)


def test_unknown_ones_beside_one_of_two_citizenships(engine: sa.Engine) -> None:
    """Whoever holds two is listed twice, so that the list is about fewer."""
    persons = "[{person: p-1, citizenships: [Belarus, Poland]}]"
    recorded(engine, release(citizenships="{Belarus: 1, Poland: 1, unknown: 2}", persons=persons))

    assert answered(engine).total["low"] == 3


def test_a_stateless_person_is_no_foreigner(engine: sa.Engine) -> None:
    """A list of one stateless person agrees with a report of no foreigners."""
    persons = "[{name: A. Name, citizenships: [stateless]}]"
    recorded(engine, release(total=1, citizenships="{foreign: 0}", persons=persons))

    answer = answered(engine)

    assert (answer.disputes, bounds_of(answer)["stateless"]) == ([], (1, 1))


def lists(*shown: str) -> list[Claim]:
    """Return a claim for each list of one person: citizenships, behind a key and a colon if any."""
    claims = []
    for position, text in enumerate(shown, start=1):
        key, _, held = text.rpartition(":")
        claims.append(Claim(position, UNSTATED, {}, persons=(
            Person(key or None, frozenset(held.split())),)))
    return claims


SEVERAL: Mapping[str, tuple[Sequence[str], int]] = {
    "the same two": (["BY PL", "BY PL"], 1),
    "a third one named by one list": (["BY PL", "BY LT PL"], 1),
    "one in common": (["BY PL", "LT PL"], 1),
    "none in common": (["BY PL", "LT US"], 1),
    "a key on one of them": (["a:BY PL", "LT PL"], 1),
    "two keys": (["a:BY PL", "b:LT PL"], 2),
    "one key": (["a:BY PL", "a:LT PL"], 1),
}


def reach(bounded: Bounded) -> dict[str, Span]:
    """Return the bounds by name."""
    return {"total": bounded.total, **bounded.citizenships}


@pytest.mark.parametrize(("shown", "least"), SEVERAL.values(), ids=SEVERAL)
def test_whoever_has_no_key_may_be_on_both_lists(shown: Sequence[str], least: int) -> None:
    """Two lists of one person of several citizenships without a key show one person at least."""
    claims = lists(*shown)

    found = bound(claims, None)

    assert found.total == (least, None)
    assert not found.disputed


def test_one_person_of_all_citizenships_that_two_lists_show() -> None:
    """A total of one beside two such lists is no contradiction: it is one person, of all three."""
    first, second = lists("BY PL", "BY LT PL")
    both = [first, Claim(2, Bounds(1, 1), {}, persons=second.persons)]

    found = bound(both, None)

    assert reach(found) == dict.fromkeys(("total", "BY", "LT", "PL"), (1, 1))
    assert (found.other, found.disputed) == (Bounds(0, 0), False)


def test_two_of_different_citizenships_may_be_two() -> None:
    """Of two persons in all, both lists may show the same one or one each."""
    first, second = lists("BY PL", "LT PL")
    found = bound([first, second, Claim(3, Bounds(2, 2), {})], None)

    assert reach(found) == {"total": (2, 2), "BY": (1, 2), "LT": (1, 2), "PL": (1, 2)}
    assert not found.disputed


def test_a_list_is_complete_for_whoever_is_on_another_list() -> None:
    """A complete list of Belarusians has room for the holder of more than another list shows."""
    first, second = lists("BY PL", "LT PL")
    complete = Claim(3, UNSTATED, {"BY": Bounds(1, 1)}, exhaustive=True)

    found = bound([first, second, complete], None)

    assert not found.disputed
    assert found.citizenships["BY"] == (1, 1)


@pytest.mark.parametrize("state", ["BY", "PL"])
@pytest.mark.parametrize("name", ["a", "b"])
def test_merged_releases_of_two_states(engine: sa.Engine, name: str, state: str) -> None:
    """By either of its names and for either of its states, a merged release is the same one."""
    recorded(engine, release("a", by="Poland", total=5) + release("b", by="Belarus", total=5))
    recorded(engine, "- {kind: DevelopmentsMerged, development: a, same_as: b, reason: x}")

    found = answered(engine, by="state", development=name, state=state)

    assert [(row["state"], row["low"], row["high"]) for row in found] == [(state, 5, 5)]


def test_a_merged_release_is_found_by_the_name_of_a_promise(engine: sa.Engine) -> None:
    """One that was only promised has no done release, but what it is merged with has."""
    recorded(engine, release("a", stage="promised", total=7) + release("b", total=7))
    recorded(engine, "- {kind: DevelopmentsMerged, development: a, same_as: b, reason: x}")

    assert answered(engine, development="a", state="BY").total["low"] == 7
    assert answered(engine, development="a", state="PL").total["developments"] == 0
