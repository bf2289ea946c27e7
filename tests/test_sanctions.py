"""Sanctions: which measure is at which stage on which day, and what a course of steps leads to."""

from typing import Any

import pytest
import sqlalchemy as sa
from recording import SOURCE, asked_for, page_by_page, record_example, recorded

from ledger.answers.answer import Answer
from ledger.answers.sanctions import sanctions
from ledger.book import now
from ledger.errors import BadValue, NotFound
from ledger.projections.courses import EVER, ORDER, Step, further, standing
from ledger.projections.sanctions import SANCTIONS
from ledger.projections.sanctions import sanctions as table
from ledger.rebuild import rebuild
from ledger.store.connect import reading
from ledger.store.read import read_head

POTASH = "{kind: sector, name: potash, country: Belarus}"


def sanction(stream: str = "us-by", **fields: Any) -> str:
    """One report of sanctions as a YAML list of one."""
    lines = {
        "kind": "SanctionsLifted", "development": stream, "when": "2025-12-13", "stage": "done",
        "sender": "United States", "target": POTASH, "provenance": SOURCE, **fields,
    }
    first, *rest = (f"{name}: {value}\n" for name, value in lines.items())
    return f"- {first}" + "".join(f"  {line}" for line in rest)


def asked(engine: sa.Engine, **question: Any) -> Answer:
    """Catch up and ask."""
    return asked_for(engine, "sanctions", **question)


def stages(answer: Answer) -> list[tuple[str, str | None, str | None]]:
    """Target, stage and what it may be, of each row."""
    return [(row["target"], row["stage"], row["may_be"]) for row in answer]


def test_the_potash_sanctions_are_agreed_to_and_lifted(engine: sa.Engine) -> None:
    """The wider record has potash agreed and done on 13 December, each with its reports."""
    record_example(engine, "article")
    record_example(engine, "wider")

    row = next(row for row in asked(engine, state="Belarus", valid_at="2025-12-13")
               if row["target"] == "potash")

    assert (row["way"], row["stage"], row["from"], row["until"]) == (
        "lifted", "done", "2025-12-13", None
    )
    agreed, done = row["positions"]
    assert row["reached"] == (
        f"agreed since 2025-12-13 (by position {agreed}); "
        f"done since 2025-12-13 (by position {done})"
    )


def test_before_that_day_they_may_have_been_agreed(engine: sa.Engine) -> None:
    """An agreement reached by some day may hold before it, and surely holds on it."""
    record_example(engine, "article")

    assert stages(asked(engine, valid_at="2025-12-12")) == [("potash", None, "agreed")]
    assert stages(asked(engine, valid_at="2025-12-13")) == [("potash", "agreed", None)]
    assert stages(asked(engine)) == [("potash", "agreed", None)]


def test_a_stage_lasts_until_the_next_one(engine: sa.Engine) -> None:
    """Asked about a day between two stages, the answer has the first and the day of the second."""
    recorded(engine, sanction(stage="promised", when="2025-09-01") + sanction(when="2025-10-01"))

    row = asked(engine, valid_at="2025-09-15").rows[0]

    assert (row["stage"], row["from"], row["until"]) == ("promised", "2025-09-01", "2025-10-01")
    assert row["positions"] == [1]
    assert asked(engine, valid_at="2025-08").rows == []


def test_what_is_done_counts_from_its_effective_day(engine: sa.Engine) -> None:
    """A lifting counts from its day of effect; a promise of it from the day of the promise."""
    recorded(engine, sanction(effective="2026-01-01"))
    recorded(engine, sanction("other", effective="2026-01-01", stage="promised"))

    rows = {row["development"]: row["from"] for row in asked(engine)}

    assert rows == {"development/us-by": "2026-01-01", "development/other": "2025-12-13"}


def test_a_vaguer_report_of_a_stage_moves_nothing(engine: sa.Engine) -> None:
    """Done on the first, as another source says in June, and reversed on the 15th: reversed."""
    recorded(engine, sanction(when="2025-06-01") + sanction(when="2025-06"))
    recorded(engine, sanction(when="2025-06-15", stage="reversed"))

    (row,) = asked(engine)

    assert (row["stage"], row["from"], row["may_be"]) == ("reversed", "2025-06-15", None)
    assert row["positions"] == [1, 2, 3]


def test_a_stage_that_is_reached_twice(engine: sa.Engine) -> None:
    """Lifted, imposed again and lifted again: the days of both liftings are told apart."""
    recorded(engine, sanction(when="2025-06-01") + sanction(when="2025-06"))
    recorded(engine, sanction(when="2025-06-15", stage="reversed") + sanction(when="2025-07-01"))

    found = [
        (row["stage"], row["from"]) for day in ("2025-06-10", "2025-06-20", "2025-07-02")
        for row in asked(engine, valid_at=day)
    ]

    assert found == [
        ("done", "2025-06-01"), ("reversed", "2025-06-15"), ("done", "2025-07-01")]


def test_a_month_leaves_the_day_open(engine: sa.Engine) -> None:
    """What was done in some month surely holds at its end only."""
    recorded(engine, sanction(when="2025-12"))

    assert stages(asked(engine, valid_at="2025-12-15")) == [("potash", None, "done")]
    assert stages(asked(engine, valid_at="2025-12")) == [("potash", "done", None)]


@pytest.mark.parametrize(
    ("said", "stage"),
    [
        ("promised refused", "refused"),
        ("refused promised", "promised"),
        ("done reversed", "reversed"),
        ("done reversed agreed", "agreed"),
        ("done refused", "done"),
        ("done promised", "done"),
        ("ordered agreed", "ordered"),
    ],
)
def test_a_course_of_steps(said: str, stage: str) -> None:
    """The furthest step holds; a refusal ends what is not done, a reversal ends everything."""
    steps = [Step(word, f"2025-01-0{at}", f"2025-01-0{at}", at)
             for at, word in enumerate(said.split(), 1)]

    assert standing(steps, EVER, further, ORDER).state == stage


def test_a_course_is_the_same_by_the_last_of_all_days(engine: sa.Engine) -> None:
    """What the answer table holds of a course is what its reports say by a day that all precede, as
    of every position."""
    record_example(engine, "article")
    record_example(engine, "wider")
    again = sanction(target="{kind: sector, name: POTASH, country: Belarus}")
    refused = sanction(stage="refused", when="2025-11/2025-12")
    recorded(engine, sanction(stage="agreed", when="2025-11") + again + refused)
    asked(engine)

    with reading(engine) as connection:
        for at in range(1, read_head(connection).size + 1):
            by_all = sanctions(connection, as_of=at).rows
            assert sanctions(connection, as_of=at, valid_at="9999-12-31").rows == by_all


def test_a_person_who_is_a_target_is_not_named(engine: sa.Engine) -> None:
    """The answer table holds no name of a person."""
    recorded(engine, sanction(target="{kind: person, person: A. Name, country: BY}"))

    assert stages(asked(engine)) == [("a person", "done", None)]
    with reading(engine) as connection:
        assert "A. Name" not in str(connection.execute(sa.select(table)).all())


def test_only_what_is_aimed_at_a_state(engine: sa.Engine) -> None:
    """Asked for a state, only measures against it count; a state that is named is its own."""
    recorded(engine, sanction() + sanction("ru", target="{kind: state, name: Russia}"))

    assert stages(asked(engine, state="RU")) == [("Russia", "done", None)]
    assert stages(asked(engine, state="Belarus")) == [("potash", "done", None)]
    with pytest.raises(BadValue):
        asked(engine, state="Atlantis")


CORRECTED = (
    "- kind: ReportCorrected\n  position: 2\n  reason: misread\n  type: SanctionsLifted\n"
    f"  report: {{when: 2025-12-14, stage: ordered, sender: US, target: {POTASH},"
    " provenance: {publisher: A, locator: p 1}}"
)


@pytest.mark.parametrize(
    ("keeping", "stage", "positions"),
    [
        (CORRECTED, "ordered", [1, 3]),
        ("- {kind: ReportRetracted, position: 2, reason: not so}", "agreed", [1]),
        ("- {kind: ReportRanked, position: 2, rank: deprecated, reason: old}", "agreed", [1]),
        ("- {kind: ReportRanked, position: 1, rank: preferred, reason: best}", "agreed", [1]),
    ],
    ids=["corrected", "retracted", "deprecated", "preferred"],
)
def test_only_live_reports_count(
    engine: sa.Engine, keeping: str, stage: str, positions: list[int]
) -> None:
    """A correction, a retraction and a rank change the answer, and not the one as of before."""
    recorded(engine, sanction(stage="agreed") + sanction())
    before = asked(engine).rows

    recorded(engine, keeping)

    row = asked(engine).rows[0]
    assert (row["stage"], row["positions"]) == (stage, positions)
    assert asked(engine, as_of=2).rows == before


def test_as_of_is_what_was_answered_then(engine: sa.Engine) -> None:
    """Caught up page by page, each earlier answer comes back as of its position."""
    then = {at: asked(engine).rows for at in page_by_page(engine)}

    assert {at: asked(engine, as_of=at).rows for at in then} == then
    assert rebuild(engine, SANCTIONS, now, check=True).outcome == "ok"


def test_an_unbuilt_projection_is_refused(engine: sa.Engine) -> None:
    """Before the first rebuild there is no answer."""
    with reading(engine) as connection, pytest.raises(NotFound, match="projections rebuild"):
        sanctions(connection)


def test_what_is_aimed_at_another_country_stays_away(engine: sa.Engine) -> None:
    """Of one development with several targets, those of the country that is asked about, and those
    of which nobody says whose they are."""
    targets = ("name: Belavia, country: BY", "name: Aeroflot, country: RU", "name: Bank X")
    recorded(engine, "".join(
        sanction("pkg", target=f"{{kind: entity, {target}}}") for target in targets
    ))
    for day in ({}, {"valid_at": "2026-01"}):
        found = {code: [row["target"] for row in asked(engine, state=code, **day)]
                 for code in ("BY", "RU", "PL")}
        assert found == {"BY": ["Bank X", "Belavia"], "RU": ["Aeroflot", "Bank X"], "PL": []}


def test_a_table_of_numbers_says_who_did_what(engine: sa.Engine) -> None:
    """A table for people has no room for all; csv and data frames have the sender and more."""
    recorded(engine, sanction())
    answer = asked(engine)
    aside = ("target_state", "sender", "measures", "positions")
    assert [answer.rows[0][name] for name in aside] == ["BY", "US", [], [1]]
    assert set(aside) <= set(answer.columns)
    assert set(aside).isdisjoint(answer.shown)
