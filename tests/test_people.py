"""People: who is detained, ordered free, free, or back in custody."""

from typing import Any

import pytest
import sqlalchemy as sa
from recording import asked_for, page_by_page, record_example, recorded, release

from ledger.answers.answer import Answer
from ledger.answers.people import BACK, DETAINED, FREE, ORDERED, people
from ledger.book import now
from ledger.errors import NotFound
from ledger.projections.people import PEOPLE
from ledger.projections.people import people as table
from ledger.rebuild import rebuild
from ledger.store.connect import reading
from ledger.store.read import read_head

MAN = "person/p-8d2x"
"""Freed on 11 September 2025, taken back within days, free again on 19 February 2026."""
SOMEBODY = "[{name: A. Name, person: p-1, citizenships: [BY, PL]}]"


def custody(event: str, stage: str, when: str, **fields: Any) -> str:
    """One report about the person p-1: released or detained."""
    stream = f"{event}-{stage}-{when.replace('/', '-').strip('.-')}"
    text = release(stream, stage=stage, when=when, persons=SOMEBODY, **fields)
    return text if event == "released" else text.replace("PrisonersReleased", "PrisonersDetained")


def asked(engine: sa.Engine, **question: Any) -> Answer:
    """Catch up and ask."""
    return asked_for(engine, "people", **question)


def statuses(answer: Answer) -> list[tuple[str | None, str | None, str | None]]:
    """Status, since and until of each row."""
    return [(row["status"], row["since"], row["until"]) for row in answer]


def test_a_person_who_is_listed_twice_in_a_report(engine: sa.Engine) -> None:
    """Both lines are about the same person, who holds what either says."""
    twice = "[{person: p-1, citizenships: [BY]}, {person: p-1, citizenships: [PL]}]"
    recorded(engine, release(persons=twice))

    (row,) = asked(engine)

    assert row["citizenships"] == ["BY", "PL"]


def in_custody(stream: str, when: str) -> str:
    """One report that the person p-1 was detained."""
    report = release(stream, when=when, persons=SOMEBODY)
    return report.replace("PrisonersReleased", "PrisonersDetained")


VAGUER = {
    "detained once": (
        [in_custody("a", "2025-01-01"), in_custody("a", "2025-01"),
         release("b", when="2025-01-15", persons=SOMEBODY)],
        (FREE, "2025-01-15", None),
    ),
    "taken back": (
        [release("a", when="2025-12-13", persons=SOMEBODY),
         release("a", when="2025-12", persons=SOMEBODY), in_custody("b", "2025-12-20")],
        (BACK, "2025-12-20", None),
    ),
    "two releases": (
        [release("a", when="2025-12-13", persons=SOMEBODY), in_custody("b", "2025-12-20"),
         release("c", when="2025-12", persons=SOMEBODY)],
        (FREE, "2025-12-31", None),
    ),
}


@pytest.mark.parametrize(("reports", "expected"), VAGUER.values(), ids=VAGUER)
def test_a_vaguer_report_of_the_same_step(
    engine: sa.Engine, reports: list[str], expected: tuple[str | None, ...]
) -> None:
    """A second source that only knows the month moves nothing; another release may be later."""
    recorded(engine, "".join(reports))

    assert statuses(asked(engine)) == [expected]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2025-09-12", (None, None, "2025-09-15")),
        ("2025-09-15", (BACK, "2025-09-15", "2026-02-19")),
        ("2026-02-18", (BACK, "2025-09-15", "2026-02-19")),
        ("2026-02-19", (FREE, "2026-02-19", None)),
        (None, (FREE, "2026-02-19", None)),
    ],
)
def test_the_man_who_would_not_leave(
    engine: sa.Engine, day: str | None, expected: tuple[str | None, ...]
) -> None:
    """He is back in custody from mid-September and free again from 19 February."""
    record_example(engine, "wider")

    answer = asked(engine, state="Belarus", valid_at=day)

    row = next(row for row in answer if row["person"] == MAN)
    assert (row["status"], row["since"], row["until"]) == expected
    assert row["citizenships"] == ["BY"]
    assert len(row["positions"]) == 3 + (day is None or day >= "2026-02-19")


def test_before_the_last_page_he_is_the_one_back_in_custody(engine: sa.Engine) -> None:
    """As of the position before his second release, he alone is back in custody."""
    record_example(engine, "article")
    record_example(engine, "wider")

    with reading(engine) as connection:
        head = read_head(connection).size

    back = [row["person"] for row in asked(engine, as_of=head - 1) if row["status"] == BACK]
    assert back == [MAN]
    assert BACK not in {row["status"] for row in asked(engine)}


def test_pardoned_is_not_free(engine: sa.Engine) -> None:
    """Two people whose pardon was ordered, and nothing more, are ordered free."""
    record_example(engine, "wider")

    found = [row["person"] for row in asked(engine) if row["status"] == ORDERED]

    assert found == ["person/p-2c6r", "person/p-6j9b"]


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ("detained done", DETAINED),
        ("detained done, released ordered", ORDERED),
        ("detained done, released ordered, released done", FREE),
        ("released done, detained done", BACK),
        ("released done, released reversed", BACK),
        ("released done, released reversed, detained done", BACK),
        ("released done, released reversed, released done", FREE),
        ("released ordered, detained done", DETAINED),
        ("released done, released ordered", FREE),
        ("detained done, detained reversed", FREE),
        ("detained done, released promised", DETAINED),
        ("detained done, released refused", DETAINED),
        ("released promised", None),
        ("detained ordered", None),
    ],
)
def test_what_steps_lead_to(engine: sa.Engine, steps: str, status: str | None) -> None:
    """Each step in order of days leads to one status; promises and refusals change none."""
    for month, step in enumerate(steps.split(", "), 1):
        event, stage = step.split()
        recorded(engine, custody(event, stage, f"2025-0{month}-01"))

    assert [row["status"] for row in asked(engine)] == [status]


def test_days_that_leave_the_order_open(engine: sa.Engine) -> None:
    """Where the order of two steps is not known, the answer says what else may be."""
    recorded(engine, custody("released", "done", "2025"))
    recorded(engine, custody("detained", "done", "2025-08-01"))

    row = asked(engine).rows[0]

    assert (row["status"], row["since"], row["may_be"]) == (FREE, "2025-12-31", BACK)


def test_only_those_whom_a_state_holds(engine: sa.Engine) -> None:
    """Asked for a state, only what it did counts."""
    recorded(engine, custody("detained", "done", "2025-01-01"))
    recorded(engine, custody("released", "done", "2025-02-01", by="{organisation: Hamas}"))

    assert statuses(asked(engine)) == [(FREE, "2025-02-01", None)]
    assert statuses(asked(engine, state="Belarus")) == [(DETAINED, "2025-01-01", None)]
    assert statuses(asked(engine, state="Poland")) == []


def test_a_person_is_a_key_and_never_a_name(engine: sa.Engine) -> None:
    """The answer table holds keys and codes; somebody without a key is not in it."""
    recorded(engine, custody("released", "done", "2025-01-01"))
    recorded(engine, release("other", persons="[{name: B. Name}]"))

    assert [(row["person"], row["citizenships"]) for row in asked(engine)] == [
        ("person/p-1", ["BY", "PL"])
    ]
    with reading(engine) as connection:
        assert "Name" not in str(connection.execute(sa.select(table)).all())


@pytest.mark.parametrize(
    ("keeping", "status"),
    [
        ("- kind: ReportCorrected\n  position: 2\n  reason: misread\n  type: PrisonersReleased\n"
         "  report: {when: 2025-02-01, by: BY, stage: reversed, persons: [{person: p-1}],"
         " provenance: {publisher: A, locator: p 1}}", BACK),
        ("- {kind: ReportRetracted, position: 2, reason: not so}", ORDERED),
        ("- {kind: ReportRanked, position: 2, rank: deprecated, reason: old}", ORDERED),
        ("- {kind: ReportRanked, position: 1, rank: preferred, reason: best}", ORDERED),
    ],
    ids=["corrected", "retracted", "deprecated", "preferred"],
)
def test_only_live_reports_count(engine: sa.Engine, keeping: str, status: str) -> None:
    """A correction, a retraction and a rank change the answer, and not the one as of before."""
    recorded(engine, release("a", stage="ordered", when="2025-01-01", persons=SOMEBODY))
    recorded(engine, release("a", when="2025-02-01", persons=SOMEBODY))
    before = asked(engine).rows
    assert before[0]["status"] == FREE

    recorded(engine, keeping)

    assert [row["status"] for row in asked(engine)] == [status]
    assert asked(engine, as_of=2).rows == before


def test_as_of_is_what_was_answered_then(engine: sa.Engine) -> None:
    """Caught up page by page, each earlier answer comes back as of its position."""
    then = {at: asked(engine).rows for at in page_by_page(engine)}

    assert {at: asked(engine, as_of=at).rows for at in then} == then
    assert rebuild(engine, PEOPLE, now, check=True).outcome == "ok"


def test_an_unbuilt_projection_is_refused(engine: sa.Engine) -> None:
    """Before the first rebuild there is no answer."""
    with reading(engine) as connection, pytest.raises(NotFound, match="projections rebuild"):
        people(connection)
