"""Rules of counting where several releases, lists and merges meet: cases worked out by hand."""

from typing import Any

import pytest
import sqlalchemy as sa
from recording import answered, bounds_of, recorded, release
from test_merged import identified, merge

from ledger.answers.answer import Answer
from ledger.answers.explaining import explain_releases
from ledger.answers.releases import releases
from ledger.store.connect import reading

P = "[{person: p-1}]"
PL, BY = "[{person: p-1, citizenships: [PL]}]", "[{person: p-1, citizenships: [BY]}]"
BOTH = "[{person: p-1, citizenships: [PL, BY]}]"
PERSONS: dict[str, Any] = {"count": "persons"}
NET: dict[str, Any] = {"reversals": "net"}
Range = tuple[int, int | None]


def asked(engine: sa.Engine, **question: Any) -> Answer:
    """Ask without a rebuild."""
    with reading(engine) as connection:
        return releases(connection, **question)


def total(engine: sa.Engine, **question: Any) -> Range:
    """Return low and high of the total."""
    whole = asked(engine, **question).total
    return whole["low"], whole["high"]


def by_day(engine: sa.Engine, **question: Any) -> dict[str, Range]:
    """Return low and high of each day."""
    return bounds_of(asked(engine, by="day", **question))


@pytest.mark.parametrize("by", ["citizenship", "state", "day"])
def test_who_is_in_two_releases_is_in_one_of_their_shares(engine: sa.Engine, by: str) -> None:
    """Five Belarusians and four Poles are nine, unless one person is among both: then he is both,
    though no list says so, and they are eight."""
    recorded(engine, release("a", when="2025-09-01", citizenships="{Belarus: 5}", total=5,
                             persons=P)
             + release("b", when="2025-09-13", citizenships="{Poland: 4}", total=4, persons=P))

    answer = answered(engine, by=by, **PERSONS)

    assert (answer.total["low"], answer.total["high"]) == (8, 8)
    if by != "citizenship":
        assert (answer.rows[-1]["low"], answer.rows[-1]["high"]) == (8, 8)


def test_what_a_list_says_of_a_person_stays_known_where_he_was_taken_back(
    engine: sa.Engine,
) -> None:
    """Who holds two citizenships by the release that was undone holds them in the others, too."""
    recorded(engine, release("a", when="2025-09-01", total=1, persons=BOTH)
             + release("a", when="2025-09-02", stage="reversed", total=1)
             + release("b", when="2025-09-03", total=1, citizenships="{Belarus: 1}")
             + release("c", when="2025-09-04", total=1, citizenships="{Poland: 1}"))
    answered(engine)
    assert total(engine, **PERSONS) == (1, 3)
    assert total(engine, **PERSONS, **NET) == (1, 2)


@pytest.mark.parametrize("count", ["releases", "persons"])
@pytest.mark.parametrize(("here", "there"), [(PL, BY), (P, BOTH)])
def test_one_of_two_citizenships_that_two_lists_name(
    engine: sa.Engine, here: str, there: str, count: str
) -> None:
    """Nobody surely counts under either, whichever of the lists names it; an explanation agrees."""
    recorded(engine, release("a", total=1, citizenships="{Poland: 1}", persons=here)
             + release("b", total=1, citizenships="{Belarus: 1}", persons=there))

    answer = answered(engine, count=count, citizenships="one")

    assert bounds_of(answer) == {"BY": (0, 1), "PL": (0, 1 + (there == BOTH))}
    with reading(engine) as connection:
        chain = explain_releases(connection, citizenship="PL", citizenships="one")
    assert chain.total.low == 0


def test_one_of_two_citizenships_under_two_keys(engine: sa.Engine) -> None:
    """Where the keys are merged, what is listed under either is one person's."""
    recorded(engine, identified("p-1") + identified("p-2")
             + release("a", total=1, citizenships="{Poland: 1}", persons=PL)
             + release("b", total=1, citizenships="{Belarus: 1}",
                       persons=BY.replace("p-1", "p-2")))
    before = bounds_of(answered(engine, citizenships="one"))
    recorded(engine, merge("p-1", "p-2", "PersonsMerged"))

    assert before == {"BY": (1, 1), "PL": (1, 1)}
    assert bounds_of(answered(engine, citizenships="one")) == {"BY": (0, 1), "PL": (0, 1)}


@pytest.mark.parametrize("persons", [P, "[]"])
def test_who_is_taken_back_may_hold_another_citizenship_too(
    engine: sa.Engine, persons: str
) -> None:
    """The only Pole is a Belarusian, too, and one Belarusian was taken back."""
    recorded(engine, release("a", when="2025-09-01", total=3, persons=BOTH,
                             citizenships="{Belarus: 3, Poland: 1}")
             + release("a", when="2025-09-05", stage="reversed", total=1,
                       citizenships="{Belarus: 1}", persons=persons))
    assert bounds_of(answered(engine, **NET)) == {"BY": (2, 2), "PL": (0, 1)}


def test_two_keys_of_one_person_in_two_merged_developments(engine: sa.Engine) -> None:
    """Each development lists one person, so that two keys of him made no number larger."""
    recorded(engine, identified("p-1") + identified("p-2")
             + release("a", total=1, persons=P)
             + release("b", total=1, persons=P.replace("p-1", "p-2"))
             + merge("a", "b") + merge("p-1", "p-2", "PersonsMerged"))
    answered(engine)
    assert total(engine, **PERSONS) == (1, 1)


@pytest.mark.parametrize("development", [None, "a", "b"])
def test_a_merged_development_may_say_only_that_it_was_undone(
    engine: sa.Engine, development: str | None
) -> None:
    """What one report undoes is off what another one says was done, also under another name; an
    explanation lists both."""
    recorded(engine, release("a", when="2025-09-01", total=10)
             + release("b", when="2025-09-05", stage="reversed", total=4) + merge("b", "a"))
    asked_for: dict[str, Any] = {"development": development} if development else {}

    assert total_after(engine, asked_for) == (6, 6)
    with reading(engine) as connection:
        chain = explain_releases(connection, **NET, **asked_for)
    assert [(one.stage, one.position) for one in chain.contributions[0].reports] == [
        ("done", 1), ("reversed", 2)]
    assert (chain.total.low, chain.total.high) == (6, 6)


def total_after(engine: sa.Engine, question: dict[str, Any]) -> Range:
    """Rebuild and return the net total, which is the same by persons."""
    answered(engine)
    assert total(engine, **NET, **question) == total(engine, **NET, **PERSONS, **question)
    return total(engine, **NET, **question)


def test_merged_developments_may_disagree_on_what_was_undone(engine: sa.Engine) -> None:
    """Four or six were taken back: the net number is disputed, and by day from then on only."""
    recorded(engine, release("a", when="2025-09-01", total=10)
             + release("a", when="2025-09-05", stage="reversed", total=4)
             + release("b", when="2025-09-01", total=10)
             + release("b", when="2025-09-05", stage="reversed", total=6) + merge("a", "b"))

    answer = answered(engine, by="day", **NET)

    assert answer.total == {"low": 4, "high": 6, "disputed": True, "developments": 1}
    assert [one["development"] for one in answer.disputes] == ["development/a", "development/b"]
    days = [(row["day"], row["low"], row["high"], row["disputed"]) for row in answer]
    assert days == [("2025-09-01", 10, 10, False), ("2025-09-05", 4, 6, True)]


def test_persons_net_by_day(engine: sa.Engine) -> None:
    """Ten were free from the first day on; some perhaps, then surely not; one more came later."""
    recorded(engine, release("a", when="2025-09-01", total=10, persons=P)
             + release("a", when="2025-09-05/2025-09-07", stage="reversed", total=8)
             + release("b", when="2025-09-09", total=1, persons=P))
    answered(engine)

    assert by_day(engine, **PERSONS, **NET) == {
        "2025-09-01": (10, 10), "2025-09-05": (2, 10), "2025-09-07": (2, 2), "2025-09-09": (2, 3)}
    assert by_day(engine, **PERSONS) == {"2025-09-01": (10, 10), "2025-09-09": (10, 10)}
    for day, bounds in by_day(engine, **PERSONS, **NET).items():
        assert total(engine, **PERSONS, **NET, until=day) == bounds
