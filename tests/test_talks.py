"""Talks: who talked with whom, when and in which form."""

from typing import Any

import pytest
import sqlalchemy as sa
from recording import SOURCE, asked_for, page_by_page, record_example, recorded

from ledger.answers.answer import Answer
from ledger.answers.talks import talks
from ledger.book import now
from ledger.errors import NotFound
from ledger.projections.talks import TALKS
from ledger.rebuild import rebuild
from ledger.store.connect import reading


def talk(stream: str = "talks", **fields: Any) -> str:
    """One report of talks as a YAML list of one."""
    lines = {"when": "2025-12-13", "parties": "[BY, US]", "provenance": SOURCE, **fields}
    text = "".join(f"  {name}: {value}\n" for name, value in lines.items())
    return f"- kind: TalksHeld\n  development: {stream}\n{text}"


def asked(engine: sa.Engine, **question: Any) -> Answer:
    """Catch up and ask."""
    return asked_for(engine, "talks", **question)


def days(answer: Answer) -> list[tuple[str | None, str | None]]:
    """The days of each row."""
    return [(row["from"], row["until"]) for row in answer]


def test_the_shipped_record_has_three_talks(engine: sa.Engine) -> None:
    """Two sources together place the December talks on two days, and each adds what it knows."""
    record_example(engine, "article")
    record_example(engine, "wider")

    answer = asked(engine, state="United States")

    assert days(answer) == [
        ("2025-06-21", "2025-06-21"), ("2025-09-11", "2025-09-11"), ("2025-12-12", "2025-12-13"),
    ]
    assert {name: answer.rows[2][name] for name in answer.shown} == {
        "development": "development/by-us-talks-2025-12-13", "parties": "BY, US",
        "from": "2025-12-12", "until": "2025-12-13", "form": "visit", "place": "BY",
        "stage": "done", "reports": 2,
    }


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("2025-12", "2025-12-10/2025-12-12", ("2025-12-10", "2025-12-12")),
        ("../2025-12-13", "2025-12-12/..", ("2025-12-12", "2025-12-13")),
        ("2025-12-01", "2025-12-03", ("2025-12-01", "2025-12-03")),
        ("../2025-12-01", "2025-12-03", (None, "2025-12-03")),
    ],
)
def test_days_bound_each_other(
    engine: sa.Engine, one: str, other: str, expected: tuple[str | None, str]
) -> None:
    """Days that can all hold are intersected; of days that exclude each other any may be right."""
    recorded(engine, talk(when=one) + talk(when=other))

    assert days(asked(engine)) == [expected]


def test_a_party_may_be_an_organisation(engine: sa.Engine) -> None:
    """Talks are found by any party that any report names, and by no other."""
    recorded(engine, talk(parties="[BY]") + talk(parties="[{organisation: 'Viasna, Minsk'}]"))

    assert asked(engine, state="Viasna, Minsk").rows[0]["parties"] == "BY, Viasna, Minsk"
    assert len(asked(engine, state="Belarus").rows) == 1
    assert asked(engine, state="Poland").rows == []


def test_stages_stay_apart(engine: sa.Engine) -> None:
    """Talks that were proposed are a row of their own beside those that were held."""
    recorded(engine, talk(stage="proposed", when="2025-11-01", form="call") + talk())

    assert [(row["stage"], row["form"]) for row in asked(engine)] == [
        ("proposed", "call"), ("done", None)
    ]


def test_a_day_keeps_what_may_have_been_on_it(engine: sa.Engine) -> None:
    """Asked about a day, the answer has the talks whose days include it."""
    recorded(engine, talk("a", when="2025-12") + talk("b", when="2025-12-13"))

    def found(day: str) -> list[str]:
        return [row["development"][-1] for row in asked(engine, valid_at=day)]

    assert (found("2025-12-13"), found("2025-12-14"), found("2026")) == (["b", "a"], ["a"], [])


@pytest.mark.parametrize(
    ("keeping", "form", "reports"),
    [
        ("- kind: ReportCorrected\n  position: 2\n  reason: misread\n  type: TalksHeld\n"
         "  report: {when: 2025-12-13, parties: [BY, US], form: multilateral,"
         " provenance: {publisher: A, locator: p 1}}", "call, multilateral", 2),
        ("- {kind: ReportRetracted, position: 2, reason: not so}", "call", 1),
        ("- {kind: ReportRanked, position: 1, rank: deprecated, reason: old}", "visit", 1),
        ("- {kind: ReportRanked, position: 1, rank: preferred, reason: best}", "call", 1),
    ],
    ids=["corrected", "retracted", "deprecated", "preferred"],
)
def test_only_live_reports_count(engine: sa.Engine, keeping: str, form: str, reports: int) -> None:
    """A correction, a retraction and a rank change the answer, and not the one as of before."""
    recorded(engine, talk(form="call") + talk(form="visit"))
    before = asked(engine).rows
    assert before[0]["form"] == "call, visit"

    recorded(engine, keeping)

    assert [(row["form"], row["reports"]) for row in asked(engine)] == [(form, reports)]
    assert asked(engine, as_of=2).rows == before


def test_as_of_is_what_was_answered_then(engine: sa.Engine) -> None:
    """Caught up page by page, each earlier answer comes back as of its position."""
    then = {at: asked(engine).rows for at in page_by_page(engine)}

    assert {at: asked(engine, as_of=at).rows for at in then} == then
    assert rebuild(engine, TALKS, now, check=True).outcome == "ok"


def test_an_unbuilt_projection_is_refused(engine: sa.Engine) -> None:
    """Before the first rebuild there is no answer."""
    with reading(engine) as connection, pytest.raises(NotFound, match="projections rebuild"):
        talks(connection)
