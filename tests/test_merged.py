"""What is merged is one in every answer: cases that were worked out by hand."""

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from recording import SOURCE, asked_for, question_named, recorded, release
from test_coded_events import coded
from test_sanctions import POTASH, sanction
from test_talks import talk

from ledger.book import now
from ledger.cli.main import ledger
from ledger.projections.merges import MERGES
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import catch_up
from ledger.store.connect import reading

Row = dict[str, Any]
A, B, C = (f"development/{name}" for name in "abc")
DETAINED = "PrisonersDetained"


def merge(one: str, other: str, kind: str = "DevelopmentsMerged") -> str:
    """Return one merge of two developments, or persons."""
    what = "person" if kind == "PersonsMerged" else "development"
    return f"- {{kind: {kind}, {what}: {one}, same_as: {other}, reason: one story}}\n"


def withdrawn(position: int) -> str:
    """Return the withdrawal of a merge."""
    return f"- {{kind: MergeWithdrawn, position: {position}, reason: two}}\n"


def shown(rows: list[Row], *columns: str) -> list[tuple[Any, ...]]:
    """Return these columns of the rows."""
    return [tuple(row[column] for column in columns) for row in rows]


def identified(person: str) -> str:
    """Return what makes a person a stream."""
    return f"- {{kind: PersonIdentified, person: {person}, name: A. N., provenance: {SOURCE}}}\n"


def link(one: str, other: str, publisher: str) -> str:
    """Return one report of a link."""
    return (f"- {{kind: DevelopmentsLinked, development: {one}, link: in_exchange_for, to: {other},"
            f" provenance: {{publisher: {publisher}, locator: p 1}}}}\n")


POTASH_SOMEWHERE = POTASH.replace(", country: Belarus", "")
PERSONS = "[{person: p-1, citizenships: [BY]}]"
ONE_STORY: Mapping[str, tuple[str, str, dict[str, Any], tuple[str, ...], list[Any]]] = {
    "talks": (
        talk("a", when="2025-12", parties="[BY, US]", form="call",
             place="{name: Minsk, country: BY}"),
        talk("b", when="2025-12-13/2026-01-02", parties="[BY, RU]", form="visit"),
        {"state": "RU"},
        ("development", "same_as", "parties", "from", "until", "form", "place", "reports",
         "positions"),
        [(A, [B], "BY, RU, US", "2025-12-13", "2025-12-31", "call, visit", "BY", 2, [1, 2])],
    ),
    "sanctions": (
        sanction("a", when="2025-06"),
        sanction("b", when="2025-06-01") + sanction("b", when="2025-06-15", stage="reversed"),
        {},
        ("development", "same_as", "way", "stage", "from", "may_be", "positions"),
        [(A, [B], "lifted", "reversed", "2025-06-15", None, [1, 2, 3])],
    ),
    "people": (
        release("a", when="2025-12-13", persons=PERSONS),
        release("b", when="2025-12", persons=PERSONS)
        + release("d", when="2025-12-20", persons=PERSONS).replace("PrisonersReleased", DETAINED),
        {"state": "BY"},
        ("person", "same_as", "status", "since", "positions"),
        [("person/p-1", [], "back in custody", "2025-12-20", [1, 2, 3])],
    ),
    "disputes": (
        release("a", total=10) + release("a", total=12),
        release("b", when="2025-01", total=9) + release("b", when="2025-03", total=9, by="Russia"),
        {"state": "RU"},
        ("development", "same_as", "type", "stage", "about", "positions"),
        [(A, [B], "PrisonersReleased", "done", "how many, when, by whom", [1, 2, 3, 4])],
    ),
    "coded_events": (
        coded("a", when="2025-11/2025-12"),
        coded("b", when="2025-12-05"),
        {},
        ("month", "low", "high", "developments", "reports"),
        [("2025-12", 1, 1, 1, 2)],
    ),
    "exchanges": (
        release("x") + release("a", stage="promised") + link("a", "x", "One"),
        release("b") + link("b", "x", "One") + link("b", "x", "Two"),
        {},
        ("development", "same_as", "stage", "to", "said_by", "positions"),
        [(A, [B], "done", "development/x", ["One", "Two"], [3, 5, 6])],
    ),
}
NAMES = pytest.mark.parametrize("name", ONE_STORY)


@NAMES
@pytest.mark.parametrize("way_round", [("a", "b"), ("b", "a")])
def test_merged_developments_are_one(
    engine: sa.Engine, name: str, way_round: tuple[str, str]
) -> None:
    """What is said of either is said of both, whichever of the two the merge was recorded in."""
    one, other, asked, columns, wanted = ONE_STORY[name]
    recorded(engine, one + other + merge(*way_round))

    assert shown(asked_for(engine, name, **asked).rows, *columns) == wanted


@NAMES
def test_a_merge_that_is_withdrawn_leaves_no_trace(engine: sa.Engine, name: str) -> None:
    """Before the merge and after its withdrawal there are two; as of the merge there is one."""
    one, other, asked, columns, wanted = ONE_STORY[name]
    size = recorded(engine, one + other).recorded[-1].position
    apart = asked_for(engine, name, **asked).rows
    assert shown(apart, *columns) != wanted
    recorded(engine, merge("a", "b"))
    recorded(engine, withdrawn(size + 1))

    assert asked_for(engine, name, **asked).rows == apart
    assert asked_for(engine, name, as_of=size, **asked).rows == apart
    assert shown(asked_for(engine, name, as_of=size + 1, **asked).rows, *columns) == wanted


@NAMES
def test_one_of_several_names_is_enough(engine: sa.Engine, name: str) -> None:
    """A development that is asked about by any of its names comes with all that it is merged with,
    however many merges lie between."""
    one, other, *_ = ONE_STORY[name]
    third = one.replace("development: a", "development: c")
    recorded(engine, one + other + third + merge("a", "b") + merge("c", "b"))

    rows = [asked_for(engine, name, development=of).rows for of in ("a", "b", "c")]

    assert rows[0] == rows[1] == rows[2] != []
    if name not in ("people", "coded_events"):
        assert {row["development"]: row["same_as"] for row in rows[0]} == {A: [B, C]}


def test_talks_of_another_party_at_another_stage_stay_away(engine: sa.Engine) -> None:
    """A party's talks are those at the stages at which any report of the group names it."""
    recorded(engine, talk("a", parties="[BY, US]", stage="proposed") + talk("a", parties="[BY, RU]")
             + talk("b", parties="[BY, FR]") + merge("a", "b"))

    assert shown(asked_for(engine, "talks", state="US").rows, "stage") == [("proposed",)]
    assert shown(asked_for(engine, "talks", state="FR").rows, "stage", "parties") == [
        ("done", "BY, FR, RU")]


@pytest.mark.parametrize(("day", "kept"), [("2025-12-01", 1), ("2025-12-05", 1), ("2025-12-06", 0)])
def test_days_of_merged_talks_that_exclude_each_other(
    engine: sa.Engine, day: str, kept: int
) -> None:
    """Where the days cannot all hold, any day may be right."""
    recorded(engine, talk("a", when="2025-12-01") + talk("b", when="2025-12-05") + merge("a", "b"))

    assert len(asked_for(engine, "talks", valid_at=day).rows) == kept


def test_sanctions_on_a_day(engine: sa.Engine) -> None:
    """By a day, too, a course of merged developments is worked out from all their reports."""
    one, other, *_ = ONE_STORY["sanctions"]
    recorded(engine, one + other + merge("b", "a"))

    rows = asked_for(engine, "sanctions", state="BY", valid_at="2025-06-10").rows

    columns = ("development", "stage", "from", "until")
    assert shown(rows, *columns) == [(A, "done", "2025-06-01", "2025-06-15")]


def test_sanctions_by_the_country_that_another_name_has(engine: sa.Engine) -> None:
    """Where only one of two merged developments names the country, what the other says of the same
    target is about it, too, also by a day."""
    recorded(engine, sanction("a", when="2025-06-01", target=POTASH_SOMEWHERE)
             + sanction("b", when="2025-06-15", stage="reversed") + merge("a", "b"))
    asked = [asked_for(engine, "sanctions", **{"state": "BY", **day}).rows
             for day in ({}, {"valid_at": "2025-06-10"}, {"development": "a"})]

    columns = ("development", "same_as", "stage", "positions")
    assert [shown(rows, *columns) for rows in asked] == [
        [(A, [B], "reversed", [1, 2])], [(A, [B], "done", [1])], [(A, [B], "reversed", [1, 2])]
    ]


def test_links_of_merged_developments_are_one(engine: sa.Engine) -> None:
    """Ends that are merged are one end: a publisher counts once, and all reports say its stage."""
    recorded(engine, release("a", stage="promised") + release("b") + release("c"))
    recorded(engine, link("a", "c", "One") + link("b", "c", "One") + link("b", "c", "Two"))
    columns = ("development", "same_as", "stage", "to", "said_by", "positions")
    apart = asked_for(engine, "exchanges").rows
    assert len(apart) == 2

    recorded(engine, merge("b", "a"))

    wanted = [(A, [B], "done", C, ["One", "Two"], [4, 5, 6])]
    for asked in ({}, {"development": "a"}, {"development": "b"}, {"development": "c"}):
        assert shown(asked_for(engine, "exchanges", **asked).rows, *columns) == wanted
    assert asked_for(engine, "exchanges", as_of=6).rows == apart


def test_a_link_between_what_is_merged_is_kept(engine: sa.Engine) -> None:
    """Somebody said it, so it is listed, though both of its ends are one development."""
    recorded(engine, release("a") + release("b") + link("b", "a", "One") + merge("a", "b"))

    columns = ("development", "same_as", "to", "to_same_as")
    assert shown(asked_for(engine, "exchanges").rows, *columns) == [(B, [A], A, [B])]


PEOPLE = (
    release("a", when="2025-01-01", persons="[{person: p-2, citizenships: [PL]}]")
    + release("d", when="2025-02-01", by="Russia", persons="[{person: p-1, citizenships: [BY]}]")
    .replace("PrisonersReleased", DETAINED)
    + identified("p-1") + identified("p-2") + identified("p-3")
)


def test_merged_persons_are_one(engine: sa.Engine) -> None:
    """Keys that are merged, however many merges lie between, are one person under the first."""
    recorded(engine, PEOPLE + merge("p-2", "p-3", "PersonsMerged")
             + merge("p-3", "p-1", "PersonsMerged"))
    columns = ("person", "same_as", "status", "citizenships", "positions")
    first, second, third = (f"person/p-{number}" for number in (1, 2, 3))

    def found(**asked: Any) -> list[tuple[Any, ...]]:
        return shown(asked_for(engine, "people", **asked).rows, *columns)

    assert found() == [(first, [second, third], "back in custody", ["BY", "PL"], [1, 2])]
    assert found(state="BY") == [(second, [first, third], "free", ["PL"], [1])]
    assert found(development="d") == [(first, [second, third], "detained", ["BY"], [2])]
    assert found(as_of=6) == [
        (first, [], "detained", ["BY"], [2]), (second, [third], "free", ["PL"], [1])]
    recorded(engine, withdrawn(7))
    assert found() == found(as_of=6)


def test_a_person_with_two_keys_in_one_report_stands_in_it_once(engine: sa.Engine) -> None:
    """Both lines are about one person, and the report is one step."""
    recorded(engine, release("a", persons="[{person: p-1}, {person: p-2}]") + identified("p-1")
             + identified("p-2") + merge("p-1", "p-2", "PersonsMerged"))

    assert shown(asked_for(engine, "people").rows, "person", "positions") == [("person/p-1", [1])]


def test_a_merged_coded_event_of_no_stated_month(engine: sa.Engine) -> None:
    """What states no month contradicts no month: the one that is stated counts."""
    month, none = coded("a", when="2025-10-01"), coded("b", when="2025-01/..")
    recorded(engine, month + none + merge("a", "b"))
    assert shown(asked_for(engine, "coded_events").rows, "month", "low", "high") == [
        ("2025-10", 1, 1)
    ]


def test_merged_coded_events_that_contradict_each_other(engine: sa.Engine) -> None:
    """Surely in October and surely in December: at most one of the two, so each may be none."""
    recorded(engine, coded("a", when="2025-10-01") + coded("b", when="2025-12-01")
             + coded("c", when="2025-12-02") + merge("a", "b"))

    columns = ("month", "low", "high", "developments", "reports")
    assert shown(asked_for(engine, "coded_events").rows, *columns) == [
        ("2025-10", 0, 1, 1, 1), ("2025-12", 1, 2, 2, 2)]
    assert shown(asked_for(engine, "coded_events", until="2025-11").rows, *columns) == [
        ("2025-10", 0, 1, 1, 1)]


def test_merged_coded_events_of_two_data_sets_bound_each_other_in_neither(
    engine: sa.Engine,
) -> None:
    """Each data set codes by rules of its own, so nothing is corrected."""
    recorded(engine, coded("a", when="2025-10-01")
             + coded("b", when="2025-12-01", dataset="Other") + merge("a", "b"))

    assert shown(asked_for(engine, "coded_events").rows, "dataset", "low", "high") == [
        ("GDELT", 1, 1), ("Other", 1, 1)]


def test_days_of_merged_coded_events_that_exclude_each_other(engine: sa.Engine) -> None:
    """Between two days of one month on which none of the two was, the event may be."""
    recorded(engine, coded("a", when="2025-12-05") + coded("b", when="2025-12-09")
             + merge("a", "b"))

    columns = ("low", "high", "developments")
    between = asked_for(engine, "coded_events", since="2025-12-06", until="2025-12-07").rows
    assert shown(between, *columns) == [(0, 1, 1)]
    assert shown(asked_for(engine, "coded_events").rows, *columns) == [(1, 1, 1)]


def still(engine: sa.Engine, name: str, **asked: Any) -> list[Row]:
    """Ask without taking anything in."""
    with reading(engine) as connection:
        return question_named(name).answer(connection, **asked).rows


@pytest.mark.parametrize("name", [*ONE_STORY, "releases"])
def test_an_answer_is_of_one_point_of_the_record(engine: sa.Engine, name: str) -> None:
    """Where merges are taken in further than what they merge, or less far, the earlier counts."""
    one, other, asked, *_ = ONE_STORY.get(name, (release("a"), release("b"), {"by": "state"}))
    size = recorded(engine, one + other).recorded[-1].position
    apart = asked_for(engine, name, **asked).rows
    recorded(engine, merge("a", "b"))
    catch_up(engine, MERGES, now)
    assert still(engine, name, **asked) == apart
    merged = asked_for(engine, name, **asked).rows
    assert merged != apart
    recorded(engine, withdrawn(size + 1))
    for projection in PROJECTIONS:
        if projection is not MERGES:
            catch_up(engine, projection, now)
    assert still(engine, name, **asked) == merged


def test_people_see_all_names_in_one_cell(sqlite_database: str) -> None:
    """The table shows `a = b`; csv and JSON have the other names apart."""
    runner = CliRunner(env={"LEDGER_DATABASE_URL": sqlite_database})
    text = talk("a") + talk("b") + merge("a", "b") + talk("other")
    assert runner.invoke(ledger, ("record", "-"), input=text).exit_code == 0
    assert runner.invoke(ledger, ("projections", "rebuild")).exit_code == 0

    said = runner.invoke(ledger, ("answer", "talks")).output
    csv = runner.invoke(ledger, ("answer", "talks", "--format", "csv")).output

    assert "a = b" in said
    assert "same as" not in said
    assert csv.splitlines()[0].endswith("reports,same_as,counting")
    assert f"{A}," in csv
    assert f",{B}," in csv
