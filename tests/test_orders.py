"""What may hold in any order of steps, held against every day on which each of them may be."""

from collections.abc import Mapping
from itertools import permutations, product

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from recording import asked_for, recorded, release

from ledger.answers.people import ORDER, UNDOES, follow
from ledger.projections import courses
from ledger.projections.courses import Follow
from ledger.projections.orders import MOST, Placed, possible, stage_else, state_else

DAYS = "12345"


def steps(order: tuple[str, ...], places: str) -> st.SearchStrategy[Placed]:
    """A step in one of the places, between two of five days."""
    span = st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)).map(sorted)
    parts = st.tuples(st.sampled_from(places), st.sampled_from(order), span)
    return parts.map(lambda part: (part[0], part[1], part[2][0], part[2][1]))


def as_they_may_be(
    all_steps: list[Placed], day: str, follow: Follow, undoes: Mapping[str, str]
) -> set[str | None]:
    """Return what holds by the day for every choice of days, and every order of one day."""
    found = set()
    spans = [[one for one in DAYS if first <= one <= last] for *_, first, last in all_steps]
    for days, order in product(product(*spans), permutations(range(len(all_steps)))):
        if [days[at] for at in order] != sorted(days):
            continue
        told = [all_steps[at] for at in order if days[at] <= day]
        if not all(may_undo(told[:at], one, all_steps, undoes) for at, one in enumerate(told)):
            continue
        state: str | None = None
        for one in told:
            state = follow(state, one[1])
        found.add(state)
    return found


def may_undo(
    before: list[Placed], one: Placed, every: list[Placed], undoes: Mapping[str, str]
) -> bool:
    """Return whether a step comes after what it takes back, if its days allow that."""
    undone = (one[0], undoes.get(one[1]))
    could = [other for other in every if other[:2] == undone and other[2] <= one[3]]
    return not could or any(other[:2] == undone for other in before)


@given(st.sets(steps(ORDER, "ab"), max_size=4), st.sampled_from(DAYS))
@settings(max_examples=150, deadline=None)
def test_every_order(told: set[Placed], day: str) -> None:
    """No state that may hold is left out; and none is added where nothing is taken back."""
    found = possible(told, day, follow, UNDOES)

    right = as_they_may_be([*told], day, follow, UNDOES)
    assert found is not None
    assert right <= found
    if not any(step[1] in UNDOES for step in told):
        assert found == right


@given(st.sets(steps(courses.ORDER, "a"), max_size=4), st.sampled_from(DAYS))
@settings(max_examples=150, deadline=None)
def test_every_order_of_stages(told: set[Placed], day: str) -> None:
    """At whichever stage a course may be: it is the one that is named, or one of those beside."""
    named = courses.standing([step[1:] for step in told], day, courses.further, courses.ORDER).state
    found = stage_else(told, day, named)

    right = as_they_may_be([*told], day, courses.further, {"reversed": "done"})
    beside = {*(found or "").split(" or ")} - {""}
    assert named not in beside
    assert right - {named, None} <= beside
    if not any(step[1] == "reversed" for step in told):
        assert right - {named, None} == beside


def test_many_steps() -> None:
    """Of too many steps the orders are not looked at: it may be whatever they can lead to."""
    told = {("a", "detained done", f"{day:02}", "99") for day in range(MOST + 1)}
    assert possible(told, "50", follow, UNDOES) is None
    assert possible([*told][:-1], "50", follow, UNDOES) == {"detained", None}
    assert state_else(told, "50", None, follow, UNDOES) == {"detained"}

    freed = ("a", "released done", "03", "60")
    assert state_else(told | {freed}, "50", "free", follow, UNDOES) == {
        "detained", "back in custody"}


P = "[{person: p-1}]"


def freed(name: str, when: str, stage: str = "done") -> str:
    """Return one report that the person was freed."""
    return release(name, when=when, stage=stage, persons=P)


def held(name: str, when: str) -> str:
    """Return one report that the person was detained."""
    return freed(name, when).replace("PrisonersReleased", "PrisonersDetained")


JANUARY = held("a", "2025-01-05")
BACK, FREE, DETAINED = "back in custody", "free", "detained"
STORIES: dict[str, tuple[str, dict[str, tuple[str | None, str | None]]]] = {
    "freed and held again in one month": (
        JANUARY + freed("b", "2025-02") + held("c", "2025-02"), {"2025-03-01": (FREE, BACK)}),
    "freed and held again on one day": (
        JANUARY + freed("b", "2025-02-05") + held("c", "2025-02-05"), {"2025-03-01": (FREE, BACK)}),
    "a release is undone after it was": (
        freed("b", "2025-02-18") + freed("b", "2025-02", "reversed"),
        {"2025-02-17": (None, None), "2025-02-20": (FREE, BACK), "2025-03-01": (BACK, None)}),
    "freed by a day": (
        JANUARY + freed("b", "../2025-02-24"),
        {"2025-02-20": (DETAINED, f"{BACK} or {FREE}"), "2025-02-24": (FREE, BACK)}),
    "ordered free again in the month in which the release was undone": (
        freed("b", "2025-02-05") + freed("b", "2025-02", "reversed")
        + freed("c", "2025-02", "ordered"), {"2025-03-01": (BACK, "ordered free")}),
    "one after the other": (
        JANUARY + freed("b", "2025-02-05") + held("c", "2025-02-06"),
        {"2025-02-05": (FREE, None), "2025-03-01": (BACK, None)}),
}


@pytest.mark.parametrize("story", STORIES)
def test_what_else_a_status_may_be(engine: sa.Engine, story: str) -> None:
    """`may_be` names whatever else may be so; where it is empty, the status is sure."""
    told, wanted = STORIES[story]
    recorded(engine, told)
    for day, expected in wanted.items():
        rows = asked_for(engine, "people", valid_at=day).rows
        (found,) = [(row["status"], row["may_be"]) for row in rows] or [(None, None)]
        assert found == expected, day
