"""The first projection: what the article says, what contradicts it, and how answers are bounded."""

import orjson
import pytest
import sqlalchemy as sa
from recording import answered, bounds_of, record_example, recorded, release

from ledger.answers.releases import releases
from ledger.cli.answer import as_data
from ledger.errors import BadValue, NotFound
from ledger.store.connect import reading
from ledger.store.read import read_events

FALSE_REPORT = release(
    "by-release-2025-12-13",
    total=123,
    citizenships="{United States: 123}",
    provenance="{publisher: yournewshub, url: https://example.org/false}",
)
NOVEMBER = release(
    "by-release-2025-11-22", when="2025-11-22", total=31, citizenships="{Ukraine: 31}"
) + release("by-release-2025-11-20", when="2025-11-20", total=2)


def as_bytes(engine: sa.Engine) -> bytes:
    """The answer as it is printed, byte for byte."""
    return orjson.dumps(as_data(answered(engine)))


def position_of(engine: sa.Engine, publisher: str) -> int:
    """Where the last report of a publisher stands."""
    with reading(engine) as connection:
        return max(
            event.position
            for event in read_events(connection)
            if event.data.get("provenance", {}).get("publisher") == publisher
        )


def test_the_article_alone_bounds_each_of_five_citizenships(engine: sa.Engine) -> None:
    """Each of the five listed citizenships has at least 1 and at most 119 of the 123."""
    record_example(engine, "article")

    answer = answered(engine, by="citizenship")

    assert bounds_of(answer) == dict.fromkeys(("AU", "GB", "LT", "PL", "US"), (1, 119))
    assert set(answer.rows[0]) == {"citizenship", "low", "high", "disputed", "developments"}
    assert answer.total == {"low": 123, "high": 123, "disputed": False, "developments": 1}
    assert answer.further["any_other_citizenship"] == {"low": 0, "high": 118}


def test_november_and_december_add_up_to_the_tally(engine: sa.Engine) -> None:
    """With the 31 and the 2 of November recorded, the total since November is 156."""
    record_example(engine, "article")
    recorded(engine, NOVEMBER)

    answer = answered(engine, since="2025-11-01")

    assert (answer.total["low"], answer.total["high"]) == (156, 156)
    assert bounds_of(answer)["UA"] == (31, 31 + 118 + 2)
    assert bounds_of(answer)["AU"] == (1, 119 + 2)


def test_the_wider_record_holds_the_same_total(engine: sa.Engine) -> None:
    """Everything that was reported leaves 156 for November and December."""
    record_example(engine, "article")
    record_example(engine, "wider")

    answer = answered(engine, state="Belarus", since="2025-11", until="2025-12")

    assert (answer.total["low"], answer.total["high"]) == (156, 156)


@pytest.mark.parametrize(
    "undo",
    [
        "- {{kind: ReportRanked, position: {0}, rank: deprecated, reason: not what the list says}}",
        "- {{kind: ReportRetracted, position: {0}, reason: the page is false}}",
    ],
    ids=["deprecated", "retracted"],
)
def test_a_false_report_disputes_and_leaves_no_trace(engine: sa.Engine, undo: str) -> None:
    """A false report is named while it counts; once undone, the answer is what it was."""
    record_example(engine, "article")
    before = as_bytes(engine)
    recorded(engine, FALSE_REPORT)
    false = position_of(engine, "yournewshub")
    disputed = answered(engine)

    recorded(engine, undo.format(false))

    assert disputed.total["disputed"]
    assert false in disputed.disputes[0]["positions"]
    assert len(disputed.disputes[0]["positions"]) == 2
    assert bounds_of(disputed)["US"] == (1, 123)
    assert as_bytes(engine) == before


def test_preferred_reports_hide_the_others(engine: sa.Engine) -> None:
    """Where one report is preferred, only that one counts."""
    recorded(engine, release(total=10) + release(total=12))
    assert answered(engine).total["disputed"]

    recorded(engine, "- {kind: ReportRanked, position: 2, rank: preferred, reason: has names}")

    assert answered(engine).total == {"low": 12, "high": 12, "disputed": False, "developments": 1}


def test_a_correction_replaces(engine: sa.Engine) -> None:
    """A corrected report counts as corrected, and not as it was."""
    recorded(engine, release(total=10))
    recorded(
        engine,
        "- kind: ReportCorrected\n  position: 1\n  reason: misread\n  type: PrisonersReleased\n"
        "  report: {when: 2025-12-13, by: BY, total: 11, provenance: {publisher: A, locator: p 1}}",
    )

    assert answered(engine).total == {"low": 11, "high": 11, "disputed": False, "developments": 1}


@pytest.mark.parametrize("stage", ["proposed", "promised", "agreed", "ordered", "refused"])
def test_what_did_not_happen_is_not_counted(engine: sa.Engine, stage: str) -> None:
    """A release that was only promised, ordered or refused is not among those done."""
    recorded(engine, release(total=10, stage=stage))

    assert answered(engine).total == {"low": 0, "high": 0, "disputed": False, "developments": 0}
    assert answered(engine, stage=stage).total["low"] == 10


def test_days_that_are_partly_inside_count_for_the_high_bound_only(engine: sa.Engine) -> None:
    """A release in an interval that crosses the first day counts at most, not at least."""
    recorded(engine, release("a", when="2025-10-30/2025-11-02", total=5))
    recorded(engine, release("b", when="2025-12", total=7))
    recorded(engine, release("c", when="2024-01-01", total=9))

    answer = answered(engine, since="2025-11-01", until="2025-12-15")

    assert answer.total == {"low": 0, "high": 12, "disputed": False, "developments": 2}


def test_by_day_is_a_running_total(engine: sa.Engine) -> None:
    """By day, a release counts at most from its earliest day and at least from its latest."""
    recorded(engine, release("a", when="2025-11-20/2025-11-22", total=5))
    recorded(engine, release("b", when="2025-11-21", total="at least 2"))

    assert bounds_of(answered(engine, by="day")) == {
        "2025-11-20": (0, 5),
        "2025-11-21": (2, None),
        "2025-11-22": (7, None),
    }


def test_by_day_begins_with_the_first_day_asked_for(engine: sa.Engine) -> None:
    """A release that may have been earlier counts, at most, from the first day asked for on."""
    recorded(engine, release("a", when="2025-10-30/2025-11-02", total=5))
    recorded(engine, release("b", when="../2025-11-03", total=2))

    assert bounds_of(answered(engine, by="day", since="2025-11-01")) == {
        "2025-11-01": (0, 7),
        "2025-11-02": (0, 7),
        "2025-11-03": (0, 7),
    }


def test_by_state_keeps_states_apart(engine: sa.Engine) -> None:
    """Each state or organisation has a row of its own, and can be asked for alone."""
    recorded(engine, release("a", total=5) + release("b", by="{organisation: Hamas}", total=20))

    assert bounds_of(answered(engine, by="state")) == {"BY": (5, 5), "Hamas": (20, 20)}
    assert answered(engine, state="Hamas").total["low"] == 20
    assert answered(engine, state="Belarus").total["low"] == 5


def test_merged_developments_count_once_and_bound_each_other(engine: sa.Engine) -> None:
    """Two developments that are one count once; a withdrawn merge counts them twice again."""
    recorded(engine, release("a", total="at least 10", citizenships="{PL: 3}"))
    recorded(engine, release("b", total="at most 12", citizenships="{UA: at least 4}"))
    apart = answered(engine)
    recorded(engine, "- {kind: DevelopmentsMerged, development: a, same_as: b, reason: one bus}")
    merged = answered(engine)
    recorded(engine, "- {kind: MergeWithdrawn, position: 3, reason: two buses}")

    assert merged.total == {"low": 10, "high": 12, "disputed": False, "developments": 1}
    assert bounds_of(merged) == {"PL": (3, 3), "UA": (4, 12)}
    assert answered(engine).rows == apart.rows
    assert apart.total["developments"] == 2


def test_merged_developments_that_exclude_each_other_are_disputed(engine: sa.Engine) -> None:
    """Where merged developments cannot both be right, the bounds are their hull."""
    recorded(engine, release("a", total=10) + release("b", total=14, when="2025-12-14"))
    recorded(engine, "- {kind: DevelopmentsMerged, development: a, same_as: b, reason: one bus}")

    answer = answered(engine)

    assert answer.total == {"low": 10, "high": 14, "disputed": True, "developments": 1}
    assert {dispute["development"] for dispute in answer.disputes} == {
        "development/a", "development/b"
    }


def test_merged_developments_that_exclude_each_other_in_one_number_bind_in_none(
    engine: sa.Engine,
) -> None:
    """Where merged developments cannot both be right, each number is what either of them says.

    As it is where both report on one stream: no citizenship has more people than the total.
    """
    one = {"total": "3 to 6", "citizenships": "{PL: at most 2, UA: 1}"}
    other = {"total": "at most 9", "citizenships": "{PL: at least 4}"}
    recorded(engine, release("a", **one) + release("b", **other))
    recorded(engine, "- {kind: DevelopmentsMerged, development: a, same_as: b, reason: one bus}")
    merged = answered(engine)
    recorded(engine, release("c", **one, by="Syria") + release("c", **other, by="Syria"))

    assert merged.total == {"low": 3, "high": 9, "disputed": True, "developments": 1}
    assert bounds_of(merged) == {"PL": (0, 9), "UA": (0, 5)}
    assert bounds_of(answered(engine, state="Syria")) == bounds_of(merged)


def test_a_person_with_two_citizenships_counts_once_in_the_total(engine: sa.Engine) -> None:
    """A dual citizen counts under each citizenship and once as a person."""
    recorded(
        engine,
        release(total=2, citizenships="{BY: 2, US: 1}",
                persons="[{name: A. B., citizenships: [BY, US]}]"),
    )

    answer = answered(engine)

    assert answer.total == {"low": 2, "high": 2, "disputed": False, "developments": 1}
    assert bounds_of(answer) == {"BY": (2, 2), "US": (1, 1)}


def test_days_that_exclude_each_other_dispute_a_release(engine: sa.Engine) -> None:
    """Reports that place one release on different days are disputed and named."""
    recorded(engine, release(total=3, when="2025-06-21") + release(total=3, when="2025-07"))

    answer = answered(engine, since="2025-06-21", until="2025-06-21")

    assert answer.disputes == [{"development": "development/by-release", "positions": [1, 2]}]
    assert (answer.total["low"], answer.total["high"]) == (0, 3)


def test_a_rebuild_twice_gives_the_same_rows(engine: sa.Engine) -> None:
    """Rebuilding again changes nothing."""
    record_example(engine, "wider")

    assert as_bytes(engine) == as_bytes(engine)


def test_an_unbuilt_projection_is_refused(engine: sa.Engine) -> None:
    """Before the first rebuild there is no answer, and the refusal says how to get one."""
    with reading(engine) as connection, pytest.raises(NotFound, match="projections rebuild"):
        releases(connection)


@pytest.mark.parametrize(
    "question",
    [{"by": "month"}, {"stage": "maybe"}, {"since": "November"}, {"until": "2025-13"}],
)
def test_a_question_that_cannot_be_asked_is_refused(
    engine: sa.Engine, question: dict[str, str]
) -> None:
    """A question with an impossible parameter is refused with what was got."""
    with pytest.raises(BadValue):
        answered(engine, **question)


def test_people_of_unknown_citizenship_may_be_anybodys(engine: sa.Engine) -> None:
    """An unknown citizenship is no citizenship of its own: it leaves the others open."""
    recorded(engine, release(total=5, citizenships="{PL: 2, unknown: 3}", exhaustive="true"))

    answer = answered(engine)

    assert bounds_of(answer) == {"PL": (2, 2)}
    assert answer.further["any_other_citizenship"] == {"low": 0, "high": 3}


def test_a_development_is_found_by_each_of_its_names(engine: sa.Engine) -> None:
    """Merged with one that was done, an ordered release is done, whichever name is asked for."""
    recorded(engine, release("a", total=10, stage="ordered"))
    recorded(engine, release("b", total=10))
    recorded(engine, "- {kind: DevelopmentsMerged, development: a, same_as: b, reason: x}")
    answered(engine)
    for name in ("a", "b"):
        with reading(engine) as connection:
            found = releases(connection, development=name)
        assert (found.total["low"], found.total["high"], found.total["developments"]) == (10, 10, 1)


def test_people_of_unknown_citizenship_count(engine: sa.Engine) -> None:
    """Three of Poland and five of nobody knows where are eight people, at least."""
    recorded(engine, release(citizenships="{Poland: 3, unknown: 5}", exhaustive="true"))
    assert answered(engine).total["low"] == 8


def test_a_complete_list_may_count_the_foreign_together(engine: sa.Engine) -> None:
    """114 Belarusians and 9 foreigners are a complete list of 123, and no contradiction."""
    shares = "{Belarus: 114, foreign: 9}"
    recorded(engine, release(total=123, citizenships=shares, exhaustive="true"))

    answer = answered(engine)

    assert bounds_of(answer) == {"BY": (114, 114)}
    assert (answer.further["any_other_citizenship"], answer.disputes) == ({"low": 0, "high": 9}, [])


@pytest.mark.parametrize("by", ["{organisation: Example Front}", "unknown"])
def test_nobody_is_the_citizen_of_what_is_no_state(engine: sa.Engine, by: str) -> None:
    """Who are foreign to an organisation is not known: 24 of 105 leave any citizenship 105."""
    recorded(engine, release(by=by, total=105, citizenships="{foreign: 24}", exhaustive="true"))
    recorded(engine, release("another", by=by, citizenships="{foreign: at least 2}"))

    answer = answered(engine, until="2025-12-13", development="by-release")

    assert bounds_of(answer) == {}
    assert answer.further["any_other_citizenship"] == {"low": 0, "high": 105}
    assert answered(engine).total["low"] == 105 + 2


def test_a_correction_keeps_the_place_of_what_it_corrects(engine: sa.Engine) -> None:
    """The first report says who freed them, also once a slip in it is corrected, and again."""
    recorded(engine, release(by="Russia", total=10))
    recorded(engine, release(by="Belarus", total=10))
    for position, locator in ((1, "page 1"), (3, "page 2")):
        recorded(engine, f"""
- kind: ReportCorrected
  position: {position}
  reason: a slip
  type: PrisonersReleased
  report: {{when: 2025-12-13, by: Russia, total: 10,
           provenance: {{publisher: A Newspaper, locator: {locator}}}}}
""")

        answer = answered(engine, by="state")

        assert bounds_of(answer) == {"RU": (10, 10)}


def test_no_day_after_the_last_one_is_answered(engine: sa.Engine) -> None:
    """By day, a release that may be after the last day asked for has no row of such a day."""
    recorded(engine, release("a", when="2025-11", total=10))
    recorded(engine, release("b", when="2025-11-10", total=5))

    answer = answered(engine, by="day", until="2025-11-15")

    assert bounds_of(answer) == {"2025-11-01": (0, 10), "2025-11-10": (5, 15)}


def test_a_release_of_two_states_stands_under_the_one_asked_for(engine: sa.Engine) -> None:
    """Merged with what another state did, a release counts for the state that is asked about."""
    recorded(engine, release("a", by="Belarus", total=10))
    recorded(engine, release("b", by="Russia", total=10))
    recorded(engine, release("c", by="Russia", total=1))
    recorded(engine, "- {kind: DevelopmentsMerged, development: b, same_as: a, reason: x}")

    for state, number in (("BY", 10), ("RU", 11)):
        assert bounds_of(answered(engine, by="state", state=state)) == {state: (number, number)}
