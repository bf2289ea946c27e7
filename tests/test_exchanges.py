"""Exchanges: what was given in return for what, who says so, and who denies it."""

from typing import Any

import pytest
import sqlalchemy as sa
from recording import asked_for, page_by_page, record_example, recorded, release
from test_sanctions import sanction

from ledger.answers.answer import Answer
from ledger.answers.exchanges import exchanges
from ledger.book import now
from ledger.errors import NotFound
from ledger.projections.exchanges import EXCHANGES
from ledger.rebuild import rebuild
from ledger.store.connect import reading

TWO = release("a", total=5) + release("b", total=6)


def link(publisher: str, denied: str = "false") -> str:
    """One report that the development a was in exchange for b, as a YAML list of one."""
    return (
        "- kind: DevelopmentsLinked\n  development: a\n  link: in_exchange_for\n  to: b\n"
        f"  denied: {denied}\n  provenance: {{publisher: {publisher}, locator: page 1}}\n"
    )


def asked(engine: sa.Engine, **question: Any) -> Answer:
    """Catch up and ask."""
    return asked_for(engine, "exchanges", **question)


def voices(answer: Answer) -> list[tuple[list[str], list[str], list[int]]]:
    """Who says and who denies, with the positions, of each row."""
    return [(row["said_by"], row["denied_by"], row["positions"]) for row in answer]


def test_potash_was_given_for_the_release(engine: sa.Engine) -> None:
    """The article gives the lifting in exchange for the release, which followed the talks."""
    record_example(engine, "article")

    answer = asked(engine)

    said_by = ["Straight Arrow News"]
    assert [tuple(row[name] for name in answer.shown) for row in answer] == [
        ("development/by-release-2025-12-13", "done", None, "follows",
         "development/by-us-talks-2025-12-13", "done", None, said_by, [], [3]),
        ("development/us-by-potash-2025-12-13", "agreed", None, "in_exchange_for",
         "development/by-release-2025-12-13", "done", None, said_by, [], [5]),
    ]
    assert answer.disputes == []


def test_a_later_report_moves_the_stage_of_an_end(engine: sa.Engine) -> None:
    """Once the lifting is reported as done, the link says so from its day on."""
    record_example(engine, "article")
    record_example(engine, "wider")

    def stage(**question: Any) -> str | None:
        return str(asked(engine, **question).rows[1]["stage"])

    assert (stage(), stage(as_of=13), stage(valid_at="2025-12-12")) == ("done", "agreed", "None")


def test_what_else_an_end_may_be(engine: sa.Engine) -> None:
    """A step that may have been made by the day, or may have come after another one, is named; what
    was undone was done before."""
    reports = sanction("a-lifting", when="2025-03", stage="done") + sanction(
        "a-lifting", when="2025-03", stage="reversed")
    recorded(engine, TWO + reports + sanction("a-lifting", when="2025-03", stage="promised"))
    recorded(engine, link("A").replace("development: a", "development: a-lifting"))

    def stages(day: str) -> list[Any]:
        (row,) = asked(engine, development="a-lifting", valid_at=day).rows
        return [row["stage"], row["may_be"], row["to_stage"], row["to_may_be"]]

    assert stages("2025-03-15") == [None, "promised or done or reversed", None, None]
    assert stages("2025-03-31") == ["reversed", "promised", None, None]
    assert stages("2025-12-13") == ["reversed", "promised", "done", None]


def test_a_lifting_is_done_when_it_takes_effect(engine: sa.Engine) -> None:
    """The stage of an end is that which the question about sanctions answers with."""
    recorded(engine, TWO)
    recorded(engine, sanction("a-lifting", effective="2026-01-01"))
    recorded(engine, link("A").replace("development: a", "development: a-lifting"))

    def stage(day: str) -> Any:
        return asked(engine, development="a-lifting", valid_at=day).rows[0]["stage"]

    assert (stage("2025-12-20"), stage("2026-01-01")) == (None, "done")


def test_a_link_that_is_denied_is_disputed(engine: sa.Engine) -> None:
    """Those who say a link and those who deny it stand in one row, and the link is disputed."""
    recorded(engine, TWO)
    recorded(engine, link("One") + link("Two") + link("Three", "true"))

    answer = asked(engine)

    assert voices(answer) == [(["One", "Two"], ["Three"], [3, 4, 5])]
    assert answer.disputes == [{"development": "development/a", "positions": [3, 4, 5]}]


def test_a_link_that_only_is_denied_is_kept(engine: sa.Engine) -> None:
    """A denial alone is a row that nobody says, and no dispute."""
    recorded(engine, TWO + link("One", "true"))

    answer = asked(engine)

    assert (voices(answer), answer.disputes) == ([([], ["One"], [3])], [])


def test_a_withdrawn_link_is_gone(engine: sa.Engine) -> None:
    """A link that is withdrawn no longer counts, and still does as of before."""
    recorded(engine, TWO + link("One") + link("Two"))
    recorded(engine, "- {kind: LinkWithdrawn, position: 3, reason: misread}")
    one = voices(asked(engine))
    recorded(engine, "- {kind: LinkWithdrawn, position: 4, reason: misread}")

    assert one == [(["Two"], [], [4])]
    assert asked(engine).rows == []
    assert voices(asked(engine, as_of=4)) == [(["One", "Two"], [], [3, 4])]


@pytest.mark.parametrize(
    ("keeping", "stage"),
    [
        ("- kind: ReportCorrected\n  position: 4\n  reason: misread\n  type: PrisonersReleased\n"
         "  report: {when: 2025-12-13, by: BY, stage: ordered,"
         " provenance: {publisher: A, locator: p 1}}", "ordered"),
        ("- {kind: ReportRetracted, position: 4, reason: not so}", "agreed"),
        ("- {kind: ReportRanked, position: 4, rank: deprecated, reason: old}", "agreed"),
        ("- {kind: ReportRanked, position: 1, rank: preferred, reason: best}", "agreed"),
    ],
    ids=["corrected", "retracted", "deprecated", "preferred"],
)
def test_only_live_reports_move_a_stage(engine: sa.Engine, keeping: str, stage: str) -> None:
    """A correction, a retraction and a rank change the stage of an end, not that as of before."""
    recorded(engine, release("a", stage="agreed") + release("b") + link("One") + release("a"))
    before = asked(engine).rows
    assert before[0]["stage"] == "done"

    recorded(engine, keeping)

    assert asked(engine).rows[0]["stage"] == stage
    assert asked(engine, as_of=4).rows == before


def test_as_of_is_what_was_answered_then(engine: sa.Engine) -> None:
    """Caught up page by page, each earlier answer comes back as of its position."""
    then = {at: asked(engine).rows for at in page_by_page(engine)}

    assert {at: asked(engine, as_of=at).rows for at in then} == then
    assert rebuild(engine, EXCHANGES, now, check=True).outcome == "ok"


def test_an_unbuilt_projection_is_refused(engine: sa.Engine) -> None:
    """Before the first rebuild there is no answer."""
    with reading(engine) as connection, pytest.raises(NotFound, match="projections rebuild"):
        exchanges(connection)
