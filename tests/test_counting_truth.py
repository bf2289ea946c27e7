"""Whoever was freed and taken back, however vaguely that is told: every rule has room for it."""

import os
from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any, NamedTuple

import sqlalchemy as sa
from fresh_ledgers import Fresh
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from recording import recorded, release
from test_merged import merge

from ledger.answers.releases import CITIZENSHIPS, COUNTS, REVERSALS, releases
from ledger.book import now
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import rebuild_all
from ledger.store.connect import reading

EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "0"))
CODES = ("BY", "PL", "UA")
WINDOWS: tuple[dict[str, str], ...] = (
    {}, {"until": "2025-09-10"}, {"since": "2025-09-04", "until": "2025-09-12"},
    {"state": "BY", "valid_at": "2025-09-08"},
)


class Freed(NamedTuple):
    """One release as it was."""

    who: frozenset[str]
    day: int
    back: frozenset[str]
    """Who of them was taken back."""
    back_day: int


class World(NamedTuple):
    """What was so, and what is told of it."""

    held: dict[str, frozenset[str]]
    freed: list[Freed]
    told: str
    """Reports, as people write them; all of them are true."""


@st.composite
def worlds(draw: Any) -> World:
    """Return some persons, up to three releases of them, and reports that are true."""
    held = {
        f"p-{number}": draw(st.frozensets(st.sampled_from(CODES), min_size=1, max_size=2))
        for number in range(5)
    }
    freed: list[Freed] = []
    told: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        who = draw(st.frozensets(st.sampled_from(sorted(held)), min_size=1, max_size=4))
        day = draw(st.integers(2, 15))
        back = draw(st.just(frozenset[str]()) | st.frozensets(st.sampled_from(sorted(who))))
        one = Freed(who, day, back, day + draw(st.integers(0, 8)))
        freed.append(one)
        told += reports(draw, held, one, f"r-{number}")
    return World(held, freed, "".join(told))


def reports(draw: Any, held: dict[str, frozenset[str]], one: Freed, name: str) -> Iterator[str]:
    """Yield what is told of a release, under one name or under several that are merged; who was
    taken back may be told under a name that says nothing else."""
    names = [f"{name}-{at}" for at in range(draw(st.integers(1, 3)))]
    done = draw(st.lists(st.sampled_from(names), min_size=1, max_size=4))
    undone = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2)) if one.back else []
    for stage, who, day, of in (("done", one.who, one.day, done),
                                ("reversed", one.back, one.back_day, undone)):
        for at, development in enumerate(of):
            first = development not in of[:at]
            yield report(draw, held, who, day, development=development, stage=stage, first=first)
    for first_name, second in pairwise(sorted({*done, *undone})):
        yield merge(first_name, second)


def report(
    draw: Any, held: dict[str, frozenset[str]], who: frozenset[str], day: int, *, development: str,
    stage: str, first: bool,
) -> str:
    """Return one report: true, and as vague as it may be. The first one of a development lists
    whoever holds two citizenships: that a person has one, unless a report says so, is assumed."""
    under = {
        code: about(draw, sum(code in held[one] for one in who))
        for code in draw(st.frozensets(st.sampled_from(CODES)))
    }
    persons = [
        f"{{person: {one}, citizenships: [{', '.join(sorted(held[one]))}]}}"
        for one in sorted(who)
        if (first and len(held[one]) > 1) or draw(st.booleans())
    ]
    complete = {code for one in who for code in held[one]} <= under.keys()
    return release(
        development, stage=stage, total=about(draw, len(who)), when=around(draw, day),
        citizenships="{" + ", ".join(f"{code}: {many}" for code, many in under.items()) + "}",
        persons="[" + ", ".join(persons) + "]",
        **({"exhaustive": "true"} if under and complete and draw(st.booleans()) else {}),
    )


def about(draw: Any, number: int) -> str:
    """Return the number, or what is true of it."""
    less, more = max(0, number - draw(st.integers(0, 2))), number + draw(st.integers(0, 2))
    return str(draw(st.sampled_from((
        number, number, f"at least {less}", f"at most {more}", f"between {less} and {more}",
        "unstated",
    ))))


def around(draw: Any, day: int) -> str:
    """Return the day, or what it lies in."""
    exact = f"2025-09-{day:02}"
    around = f"2025-09-{max(1, day - 2):02}/2025-09-{day + 2:02}"
    return str(draw(st.sampled_from((exact, exact, around, "2025-09", f"../{exact}"))))


@settings(max_examples=EXAMPLES or 2, phases=[Phase.generate], deadline=None)
@given(worlds())
def test_what_was_so_is_within_the_bounds(fresh: Fresh, world: World) -> None:
    """However it is counted, and for whichever days: no bound leaves out what was so, by
    citizenship, in all and on every day; and true reports contradict each other nowhere."""
    with fresh() as engine:
        recorded(engine, world.told)
        rebuild_all(engine, PROJECTIONS, now)
        with reading(engine) as connection:
            for window, *rule in product(WINDOWS, COUNTS, REVERSALS, CITIZENSHIPS):
                names = ("count", "reversals", "citizenships")
                holds(connection, world, {**window, **dict(zip(names, rule, strict=True))})


def holds(connection: sa.Connection, world: World, question: dict[str, str]) -> None:
    """Check one question in all its forms."""
    since = question.get("since", "")
    until = min(question.get("until", "~"), question.get("valid_at", "~"))
    answer = releases(connection, **question)
    who = counted(world, question, since, until)
    assert within(answer.total, len(who))
    assert not answer.total["disputed"]
    rows: dict[str, Any] = {row["citizenship"]: row for row in answer}
    for code in CODES:
        holders = [world.held[one] for one in who if code in world.held[one]]
        least = len(holders)
        if question["citizenships"] == "one":
            least = sum(len(held) == 1 for held in holders)
        row = rows.get(code) or answer.further["any_other_citizenship"]
        assert row["low"] <= least
        assert row["high"] is None or len(holders) <= row["high"]
    for row in releases(connection, by="day", **question):
        assert within(row, len(counted(world, question, since, row["day"])))


def counted(world: World, question: dict[str, str], since: str, until: str) -> list[str]:
    """Return who counts by the rule, from the one day to the other."""
    found = []
    for one in world.freed:
        if since <= f"2025-09-{one.day:02}" <= until:
            undone = question["reversals"] == "net" and f"2025-09-{one.back_day:02}" <= until
            found += [*(one.who - one.back if undone else one.who)]
    return sorted({*found}) if question["count"] == "persons" else found


def within(row: dict[str, Any], number: int) -> bool:
    """Say whether the number is within the bounds."""
    return bool(row["low"] <= number and (row["high"] is None or number <= row["high"]))
